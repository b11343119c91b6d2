"""Semantic segmentation data sets for MMSegmentation: BDD100K, Cityscapes and CamVid by class table and layout.

Images and labels are found by a :class:`~mmstreet.datasets.layouts.Layout`; classes and colours come from a class table.
MMSegmentation's own ``label_map`` stays unused: a many-to-one map by name is what ``mmstreet.RemapLabels`` is for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from mmseg.datasets import BaseSegDataset

from mmstreet.datasets.layouts import LAYOUTS, list_pairs, read_list
from mmstreet.labels import IGNORE_INDEX, get_table
from mmstreet.registry import DATASETS


class StreetSemSeg(BaseSegDataset):
    """Images with one label map each, in a known layout.

    Args:
        data_root: Folder that holds the layout's folders.
        split: ``'train'``, ``'val'`` or ``'test'``; a test split without labels is allowed.
        layout: One of the class's ``layouts``; None takes the first.
        table: Class table of the labels when the pipeline is done with them; gives ``classes`` and ``palette``. None takes
            the table of the files.
        ann_file: List file, relative to ``data_root`` or absolute: one image name per line, with or without suffix,
            ``NAME`` in this split or ``SPLIT/NAME``. Empty: every image of the split.
        pipeline: Transforms.
        indices: The first so many images, or the chosen ones.
        test_mode: A transform that gives up on an image is an error instead of another draw.
        lazy_init: Read the folders at first use.
        serialize_data: Keep the file list as one array that worker processes share.
        max_refetch: How many other images may be drawn in the place of one that was skipped.

    Raises:
        FileNotFoundError: If there are no images, or a listed file or a label does not exist.
        ValueError: If the layout is unknown, or the labels that leave the pipeline are not those of ``table``.
    """

    layouts: dict[str, str] = {}
    """Name of each layout in a config, and the one in :data:`mmstreet.datasets.layouts.LAYOUTS`."""

    def __init__(
        self,
        *,
        data_root: str,
        split: str = "train",
        layout: str | None = None,
        table: str | None = None,
        ann_file: str = "",
        pipeline: Sequence = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        serialize_data: bool = True,
        max_refetch: int = 1000,
    ):
        layout = next(iter(self.layouts)) if layout is None else layout
        if layout not in self.layouts:
            raise ValueError(f"{type(self).__name__}: layout must be one of {', '.join(map(repr, self.layouts))}, not {layout!r}")
        self.layout = LAYOUTS[self.layouts[layout]]
        self.split = split
        self.table = get_table(table or self.layout.table)
        super().__init__(
            ann_file=ann_file,
            img_suffix=self.layout.image_suffix,
            seg_map_suffix=self.layout.label_suffix,
            metainfo=self.table.metainfo,
            data_root=data_root,
            data_prefix=dict(img_path=self.layout.image_dir, seg_map_path=self.layout.label_dir),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=True,
            max_refetch=max_refetch,
            ignore_index=IGNORE_INDEX,
            reduce_zero_label=False,
        )
        self._check_table()
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict]:
        """List image and label paths in file order or in the order of the list file."""
        names = read_list(self.ann_file) if self.ann_file else None
        shared = dict(label_map=None, reduce_zero_label=False, label_table=self.layout.table)
        data = []
        for pair in list_pairs(self.data_root or os.curdir, self.layout, self.split, names):
            label = {} if pair.label_path is None else dict(seg_map_path=pair.label_path)
            data.append(dict(img_path=pair.image_path, **label, **shared, seg_fields=[]))
        return data

    def _check_table(self) -> None:
        """A table that no transform produces would train the wrong classes without a word."""
        steps = [step for step in self.pipeline.transforms if hasattr(step, "label_table")]
        if not steps:
            return
        last = [step.label_table for step in steps if step.label_table][-1:] or [self.layout.table]
        if last[0] != self.table.name:
            raise ValueError(
                f"labels leave the pipeline in table '{last[0]}', but the dataset says table='{self.table.name}'; "
                f"add dict(type='mmstreet.RemapLabels', source='{last[0]}', target='{self.table.name}') or change table="
            )


@DATASETS.register_module()
class BDD100KSemSeg(StreetSemSeg):
    """BDD100K's 19 street classes, 720x1280; settings as in :class:`StreetSemSeg`.

    ``layout='10k'`` reads ``images/10k/SPLIT/NAME.jpg`` and ``labels/sem_seg/masks/SPLIT/NAME.png``; ``layout='2018'`` the
    first release, ``seg/images/SPLIT/NAME.jpg`` and ``seg/labels/SPLIT/NAME_train_id.png``.
    """

    layouts = {"10k": "bdd100k_10k", "2018": "bdd100k_2018"}


@DATASETS.register_module()
class CityscapesSemSeg(StreetSemSeg):
    """Cityscapes' 19 classes from the published ``_gtFine_labelIds.png``; settings as in :class:`StreetSemSeg`.

    Load with ``mmstreet.LoadLabels``, which turns ids on disk into train ids: no ``labelTrainIds`` files have to be made.
    """

    layouts = {"original": "cityscapes"}


@DATASETS.register_module()
class CamVidSemSeg(StreetSemSeg):
    """CamVid in SegNet's 11-class form, 360x480; settings as in :class:`StreetSemSeg`.

    Reads ``images/SPLIT/NAME.jpg`` and ``labels/SPLIT/NAME.png``.
    """

    layouts = {"segnet": "camvid11"}


@DATASETS.register_module()
class WildDash2SemSeg(StreetSemSeg):
    """WildDash 2's 25 evaluated classes; settings as in :class:`StreetSemSeg`.

    Reads ``images/SPLIT/NAME.jpg`` and ``labels/SPLIT/NAME.png``, which hold WildDash's label ids. The published folder has no splits:
    make them with ``mmstreet split``, or take ``split='.'``, all images of the flat folder, with ``ann_file`` to choose some.
    """

    layouts = {"folders": "wilddash2"}
