"""Semantic segmentation data sets for MMSegmentation: by class table and layout, with masks or with image-level labels.

Images and labels are found by a :class:`~mmstreet.datasets.layouts.Layout`; classes and colours come from a class table.
MMSegmentation's own ``label_map`` stays unused: a many-to-one map by name is what ``mmstreet.RemapLabels`` is for.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from mmseg.datasets import BaseSegDataset

from mmstreet.datasets.folders import describe_folder, read_list
from mmstreet.datasets.image_labels import load_image_labels
from mmstreet.datasets.layouts import LAYOUTS, Layout, detect_layout, layout_from_config
from mmstreet.datasets.loading import hold_files
from mmstreet.datasets.pairs import Pair, list_pairs
from mmstreet.labels import IGNORE_INDEX, LabelTable, get_table
from mmstreet.registry import DATASETS


@DATASETS.register_module()
class StreetSemSeg(BaseSegDataset):
    """Images with one label map each, or with the classes that they show.

    A set of one's own needs ``classes`` and perhaps ``layout``; a known one is recognised by its folders.

    Args:
        data_root: Folder that holds the layout's folders.
        split: ``'train'``, ``'val'`` or ``'test'``; a test split without labels is allowed.
        layout: Name of a known layout, or ``dict(image_dir=…, label_dir=…, image_suffix=…, label_suffix=…, unlisted=…)``, see
            :class:`~mmstreet.datasets.layouts.Layout`. None recognises it by the folders that are there.
        classes: Rows of the class table of the ids on disk, see :func:`mmstreet.label_table.table_from_rows`. None takes the layout's.
        table: Class table of the labels when the pipeline is done with them, a name or rows; gives ``classes`` and ``palette``. None
            takes the table of the files.
        image_labels: File of image-level labels, relative to ``data_root`` or absolute; see ``mmstreet image-labels``. Each sample then
            has ``img_label``, bool ``[C]``, which classes its image shows (add it to the ``meta_keys`` of ``PackSegInputs``), and
            annotated masks are neither needed nor read.
        masks_dir: With ``image_labels``, a folder of pseudo-masks ``KEY.png`` in train ids, relative to ``data_root`` or absolute, for
            ``mmstreet.LoadLabels``.
        ann_file: List file, relative to ``data_root`` or absolute: one image name per line, with or without suffix,
            ``NAME`` in this split or ``SPLIT/NAME``. Empty: every image of the split.
        pipeline: Transforms.
        indices: The first so many images, or the chosen ones.
        test_mode: A transform that gives up on an image is an error, and no other image takes its place.
        lazy_init: Read the folders at first use.
        serialize_data: Keep the file list as one array that worker processes share.
        max_refetch: How many other images are tried in the place of one that was skipped.
        cache: Read every image and label map once, before training starts, and keep them in memory, which worker processes share: for
            small sets, whose steps take less time than the decoding. Every process of a distributed training keeps its own.

    Raises:
        FileNotFoundError: If there are no images, or a listed file, a label, a pseudo-mask or the file of image-level labels does not
            exist, or ``layout`` is None and no known one fits.
        KeyError: If an image has no entry in the file of image-level labels; the message names it.
        ValueError: If the layout is unknown, a row is wrong, the labels that leave the pipeline are not those of ``table``, or the
            image-level labels are made for other classes.
        MemoryError: If ``cache`` would take more than half of the machine's memory.
    """

    layouts: dict[str, str] = {name: name for name in LAYOUTS}
    """Name of each layout in a config, and the one in :data:`mmstreet.datasets.layouts.LAYOUTS`."""
    weak = False
    """Whether ``image_labels`` has to be given."""

    def __init__(
        self,
        *,
        data_root: str,
        split: str = "train",
        layout: str | Mapping | None = None,
        classes: Sequence[Mapping] | None = None,
        table: str | Sequence[Mapping] | None = None,
        image_labels: str | None = None,
        masks_dir: str | None = None,
        ann_file: str = "",
        pipeline: Sequence = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        serialize_data: bool = True,
        max_refetch: int = 1000,
        cache: bool = False,
    ):
        if image_labels is None and (self.weak or masks_dir is not None):
            raise ValueError(f"{type(self).__name__} needs image_labels=, the file that says which classes each image shows")
        self.image_labels = None if image_labels is None else os.path.join(data_root, image_labels)
        self.masks_dir = None if masks_dir is None else os.path.join(data_root, masks_dir)
        self.split = split
        self.cache = cache
        self.layout = self._choose_layout(data_root, layout, needed=classes is None and table is None)
        self.files_table = get_table(classes) if classes is not None else self._layout_table(data_root, table)
        if self.layout is not None and self.layout.void:
            self.files_table = self.files_table.with_void(self.layout.void)
        if image_labels is not None:
            self.files_table = _in_train_ids(self.files_table)
        self.table = self.files_table if table is None else get_table(table)
        super().__init__(
            ann_file=ann_file,
            metainfo=self.table.metainfo,
            data_root=data_root,
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

    def full_init(self) -> None:
        """List the files, and read them if they are kept in memory."""
        if self._fully_initialized:
            return
        super().full_init()
        if self.cache:
            hold_files(self)

    def load_data_list(self) -> list[dict]:
        """List image and label paths in file order or in the order of the list file."""
        self.layout = self.layout or detect_layout(self.data_root, self.layouts.values())
        names = read_list(self.ann_file) if self.ann_file else None
        labelled = False if self.image_labels else None
        pairs = list_pairs(self.data_root or os.curdir, self.layout, self.split, names, labelled=labelled)
        shared = dict(label_map=None, reduce_zero_label=False)
        if self.image_labels:
            data = self._add_image_labels(pairs)
        else:
            data = [dict(seg_map_path=pair.label_path) if pair.label_path else {} for pair in pairs]
        return [dict(img_path=pair.image_path, **more, **shared, seg_fields=[]) for pair, more in zip(pairs, data)]

    def get_data_info(self, idx: int) -> dict:
        """Return one entry of the list, with how its label file is to be read."""
        own = self.masks_dir is None
        return {
            **super().get_data_info(idx),
            "label_table": self.files_table,
            "label_palette": self.layout.palette if own else "color",
            "label_unlisted": self.layout.unlisted if own else "error",
        }

    def _choose_layout(self, root: str, layout: str | Mapping | None, *, needed: bool) -> Layout | None:
        if isinstance(layout, Mapping):
            return layout_from_config(layout)
        if layout is None:
            try:
                return detect_layout(root, self.layouts.values())
            except FileNotFoundError:
                if len(self.layouts) < len(LAYOUTS):
                    return LAYOUTS[next(iter(self.layouts.values()))]  # the list of images says what is missing
                if needed:
                    raise
                return None  # the classes are known, which is enough until files are read
        if str(layout) not in self.layouts:
            raise ValueError(f"{type(self).__name__}: layout must be one of {', '.join(map(repr, self.layouts))}, not {layout!r}")
        return LAYOUTS[self.layouts[str(layout)]]

    def _layout_table(self, root: str, table: str | Sequence[Mapping] | None) -> LabelTable:
        if self.layout is None:
            return get_table(table)
        if not self.layout.table:
            raise ValueError(f"{type(self).__name__} with a layout of its own needs classes=[dict(name=…, id=…, color=…), …]")
        return self.layout.read_table(root)

    def _add_image_labels(self, pairs: list[Pair]) -> list[dict]:
        labels = load_image_labels(self.image_labels, classes=self.files_table.names)
        data = [dict(image_key=pair.name, img_label=labels.vector(pair.name)) for pair in pairs]
        if self.masks_dir is None:
            return data
        paths = [os.path.join(self.masks_dir, f"{pair.name}.png") for pair in pairs]
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f"{len(paths)} images need a pseudo-mask, but {len(missing)} of the files do not exist, first '{missing[0]}': "
                f"{describe_folder(os.path.dirname(missing[0]))}; 'mmstreet pseudo-masks' makes them and goes on where it stopped"
            )
        return [dict(info, seg_map_path=path) for info, path in zip(data, paths)]

    def _check_table(self) -> None:
        """A table that no transform produces would train the wrong classes without a word."""
        steps = [step.label_table for step in self.pipeline.transforms if hasattr(step, "label_table")]
        if not steps:
            return
        last = next((table for table in reversed(steps) if table is not None), self.files_table)
        if last.names != self.table.names:
            raise ValueError(
                f"labels leave the pipeline in table '{last.name}', but the dataset says table='{self.table.name}'; "
                f"add dict(type='mmstreet.RemapLabels', source='{last.name}', target='{self.table.name}') or change table="
            )


def _in_train_ids(table: LabelTable) -> LabelTable:
    train = table.with_train_ids()
    return table if train.rows == table.rows else train


@DATASETS.register_module()
class BDD100KSemSeg(StreetSemSeg):
    """BDD100K's 19 street classes, 720x1280; settings as in :class:`StreetSemSeg`.

    ``layout='10k'`` reads ``images/10k/SPLIT/NAME.jpg`` and ``labels/sem_seg/masks/SPLIT/NAME.png``; ``layout='2018'`` the
    first release, ``seg/images/SPLIT/NAME.jpg`` and ``seg/labels/SPLIT/NAME_train_id.png``.
    """

    layouts = {"10k": "bdd100k_10k", "2018": "bdd100k_2018"}


@DATASETS.register_module()
class CityscapesSemSeg(StreetSemSeg):
    """Cityscapes' 19 classes; settings as in :class:`StreetSemSeg`.

    Reads the published ``_gtFine_labelIds.png`` (``layout='original'``) or, where there are only these, ``_gtFine_labelTrainIds.png``
    (``'train_ids'``).
    """

    layouts = {"original": "cityscapes", "train_ids": "cityscapes_train_ids"}


@DATASETS.register_module()
class CamVidSemSeg(StreetSemSeg):
    """CamVid in SegNet's 11-class form, 360x480; settings as in :class:`StreetSemSeg`.

    Reads ``images/SPLIT/NAME.jpg`` or ``.png`` and ``labels/SPLIT/NAME.png`` (``layout='segnet'``), or the folders as they are published,
    ``SPLIT/NAME.png`` and ``SPLITannot/NAME.png`` with 11 as void (``'published'``).
    """

    layouts = {"segnet": "camvid11", "published": "camvid_segnet"}


@DATASETS.register_module()
class WildDash2SemSeg(StreetSemSeg):
    """WildDash 2's 25 evaluated classes; settings as in :class:`StreetSemSeg`.

    Reads ``images/SPLIT/NAME.jpg`` and ``labels/SPLIT/NAME.png``, which hold WildDash's label ids. The published folder has no splits:
    make them with ``mmstreet split``, or take ``split='.'``, all images of the flat folder, with ``ann_file`` to choose some.
    """

    layouts = {"folders": "wilddash2"}


@DATASETS.register_module()
class WeakBDD100KSemSeg(BDD100KSemSeg):
    """BDD100K's images with image-level labels of 19 classes; settings as in :class:`StreetSemSeg`."""

    weak = True


@DATASETS.register_module()
class WeakCityscapesSemSeg(CityscapesSemSeg):
    """Cityscapes with image-level labels of 19 classes; settings as in :class:`StreetSemSeg`."""

    weak = True


@DATASETS.register_module()
class WeakCamVidSemSeg(CamVidSemSeg):
    """CamVid with image-level labels of 11 classes; settings as in :class:`StreetSemSeg`."""

    weak = True


@DATASETS.register_module()
class WeakWildDash2SemSeg(WildDash2SemSeg):
    """WildDash 2 with image-level labels of 25 classes; settings as in :class:`StreetSemSeg`."""

    weak = True
