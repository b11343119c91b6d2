"""Training sets with image-level labels: each sample says which classes its image shows, and no annotated mask is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mmseg.datasets import BaseSegDataset

from mmstreet.datasets.image_labels import image_key, load_image_labels
from mmstreet.datasets.layouts import LAYOUTS, Layout, describe_folder, list_images, read_list
from mmstreet.labels import IGNORE_INDEX, TABLES, get_table
from mmstreet.registry import DATASETS


class WeakStreetSemSeg(BaseSegDataset):
    """Images of a known layout, each with the classes that it shows as ``img_label``, bool ``[C]``.

    Add ``'img_label'`` to the ``meta_keys`` of ``PackSegInputs``. Annotated masks need not exist. With ``masks_dir`` the samples also name
    a pseudo-mask, ``masks_dir/KEY.png`` in train ids, for ``mmstreet.LoadLabels``.

    Args:
        data_root: Folder that holds the layout's folders.
        image_labels: File of image-level labels, relative to ``data_root`` or absolute; see ``mmstreet image-labels``.
        masks_dir: Folder of pseudo-masks, relative to ``data_root`` or absolute; None loads no mask.
        split: Folder of the images, e.g. ``'train'``.
        ann_file: List file, as in :class:`~mmstreet.datasets.sem_seg.StreetSemSeg`. Empty: every image of the split.
        pipeline: Transforms.
        indices: The first so many images, or the chosen ones.
        test_mode: A transform that gives up on an image is an error instead of another draw.
        lazy_init: Read the folders at first use.
        serialize_data: Keep the file list as one array that worker processes share.
        max_refetch: How many other images may be drawn in the place of one that was skipped.

    Raises:
        FileNotFoundError: If there are no images, no file of labels, or a pseudo-mask is missing.
        KeyError: If an image has no entry in the file of labels; the message names it.
        ValueError: If that file is made for other classes.
    """

    layout: Layout

    def __init__(
        self,
        *,
        data_root: str,
        image_labels: str,
        masks_dir: str | None = None,
        split: str = "train",
        ann_file: str = "",
        pipeline: Sequence = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        serialize_data: bool = True,
        max_refetch: int = 1000,
    ):
        self.image_labels = os.path.join(data_root, image_labels)
        self.masks_dir = None if masks_dir is None else os.path.join(data_root, masks_dir)
        self.split = split
        table = get_table(self.layout.table)
        self.table = TABLES.get(f"{table.name}_train_ids", table)
        super().__init__(
            ann_file=ann_file,
            img_suffix=self.layout.image_suffix,
            metainfo=self.table.metainfo,
            data_root=data_root,
            data_prefix=dict(img_path=self.layout.image_dir),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
            ignore_index=IGNORE_INDEX,
            reduce_zero_label=False,
        )

    def load_data_list(self) -> list[dict]:
        """List image paths with their classes, and the path of the pseudo-mask if there is one."""
        names = read_list(self.ann_file) if self.ann_file else None
        labels = load_image_labels(self.image_labels, classes=self.table.names)
        folder = Path(self.data_root, self.layout.image_dir, self.split)
        shared = dict(label_map=None, reduce_zero_label=False, label_table=self.table.name)
        data = []
        for path in list_images(self.data_root, self.layout, self.split, names):
            key = image_key(path, folder, self.layout.image_suffix)
            mask = {} if self.masks_dir is None else dict(seg_map_path=os.path.join(self.masks_dir, f"{key}.png"))
            data.append(dict(img_path=path, image_key=key, img_label=labels.vector(key), **mask, **shared, seg_fields=[]))
        self._require_masks([info["seg_map_path"] for info in data if "seg_map_path" in info])
        return data

    def _require_masks(self, paths: list[str]) -> None:
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise FileNotFoundError(
                f"{len(paths)} images need a pseudo-mask, but {len(missing)} of the files do not exist, first '{missing[0]}': "
                f"{describe_folder(os.path.dirname(missing[0]))}; mmstreet pseudo-masks makes them and goes on where it stopped"
            )


@DATASETS.register_module()
class WeakBDD100KSemSeg(WeakStreetSemSeg):
    """BDD100K's 10k images with image-level labels of 19 classes; settings as in :class:`WeakStreetSemSeg`."""

    layout = LAYOUTS["bdd100k_10k"]


@DATASETS.register_module()
class WeakCityscapesSemSeg(WeakStreetSemSeg):
    """Cityscapes with image-level labels of 19 classes; settings as in :class:`WeakStreetSemSeg`."""

    layout = LAYOUTS["cityscapes"]


@DATASETS.register_module()
class WeakCamVidSemSeg(WeakStreetSemSeg):
    """CamVid with image-level labels of 11 classes; settings as in :class:`WeakStreetSemSeg`."""

    layout = LAYOUTS["camvid11"]


@DATASETS.register_module()
class WeakWildDash2SemSeg(WeakStreetSemSeg):
    """WildDash 2 with image-level labels of 25 classes; settings as in :class:`WeakStreetSemSeg`."""

    layout = LAYOUTS["wilddash2"]
