"""First steps of a pipeline: ``LoadImage`` and ``LoadLabels``, which name the file that stops them, and may keep what they have read."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log

from mmstreet.files.images import ORIENTATIONS, ImageFileError, read_image
from mmstreet.formats.label_files import LabelFileError, read_labels
from mmstreet.labels import LabelTable, get_table
from mmstreet.registry import TRANSFORMS


class _FileStep(BaseTransform):
    """Reads one file per sample; what :meth:`hold` has read before is copied instead of read again."""

    path_key = ""

    def __init__(self):
        self._held: dict[str, np.ndarray] = {}

    def hold(self, results: dict) -> int:
        """Read the sample's file and keep what it holds; returns its bytes in memory. A file that cannot be used waits for its turn."""
        path = results.get(self.path_key)
        if path is None:
            return 0
        try:
            self._held[path] = self.read(results)
        except (ImageFileError, OSError):
            return 0
        return self._held[path].nbytes

    def get(self, results: dict) -> np.ndarray:
        held = self._held.get(results[self.path_key])
        return self.read(results) if held is None else held.copy()


@TRANSFORMS.register_module()
class LoadImage(_FileStep):
    """Read ``results['img_path']`` as BGR; sets ``img``, ``img_shape`` and ``ori_shape``.

    Args:
        orientation: ``'stored'`` reads the pixels as they are in the file, which label maps usually follow; ``'exif'`` turns them as the
            orientation tag says, which fits labels only if they were made on the turned picture.
        on_broken: What a truncated or undecodable file does: ``'error'`` stops with its name; ``'skip'`` logs its name and
            how many this process has skipped, and the data set takes another image in its place (in training only: a test that
            leaves images out has no meaning, so there it stops).

    Raises:
        ImageFileError: At run time, for a broken file under ``'error'``.
        ValueError: If ``orientation`` or ``on_broken`` is unknown.
    """

    path_key = "img_path"

    def __init__(self, *, orientation: str = "stored", on_broken: str = "error"):
        if orientation not in ORIENTATIONS:
            raise ValueError(f"orientation must be 'stored' or 'exif', not {orientation!r}")
        if on_broken not in ("error", "skip"):
            raise ValueError(f"on_broken must be 'error' or 'skip', not {on_broken!r}")
        super().__init__()
        self.orientation = orientation
        self.on_broken = on_broken
        self.skipped = 0

    def read(self, results: dict) -> np.ndarray:
        """Return the image, uint8 ``[H, W, 3]``."""
        return read_image(results["img_path"], orientation=self.orientation)

    def transform(self, results: dict) -> dict | None:
        """Add the image, uint8 ``[H, W, 3]``; None asks the data set for another one."""
        try:
            image = self.get(results)
        except ImageFileError as error:
            if self.on_broken == "error":
                raise
            self.skipped += 1
            print_log(f"skipped: {error} ({self.skipped} skipped by this process)", "current", logging.WARNING)
            return None
        results["img"] = image
        results["img_shape"] = results["ori_shape"] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f"LoadImage(orientation='{self.orientation}', on_broken='{self.on_broken}')"


@TRANSFORMS.register_module()
class LoadLabels(_FileStep):
    """Read ``results['seg_map_path']`` as train ids; sets ``gt_seg_map`` and adds it to ``seg_fields``.

    Files of ids, of palette indices and of colours are told apart and decoded by the class table, or refused by name. An id
    that the table does not have stops training here, with file and place, before a GPU meets it.

    Args:
        table: Class table of the files, a name or rows. None takes the one that the data set names, ``results['label_table']``.
        palette: What a palette image's pixels are: ``'color'`` or ``'index'``. None takes what the data set says, otherwise ``'color'``.
        unlisted: What an id is that the table does not have: an ``'error'``, or void (``'ignore'``, as for Cityscapes'
            ``labelIds``, which hold classes that are not evaluated). None takes what the data set says, otherwise ``'error'``.

    Raises:
        LabelFileError: At run time, for a file that cannot be used.
        ValueError: If a setting is unknown; at run time, if a label map's size is not its image's or if the data set asks
            MMSegmentation to map ids, which this step leaves to ``RemapLabels``.
    """

    path_key = "seg_map_path"

    def __init__(self, *, table: str | Sequence[Mapping] | None = None, palette: str | None = None, unlisted: str | None = None):
        if palette not in ("color", "index", None):
            raise ValueError(f"palette must be 'color' or 'index', not {palette!r}")
        if unlisted not in ("error", "ignore", None):
            raise ValueError(f"unlisted must be 'error' or 'ignore', not {unlisted!r}")
        super().__init__()
        self.label_table = None if table is None else get_table(table)
        self.palette = palette
        self.unlisted = unlisted

    def read(self, results: dict) -> np.ndarray:
        """Return the label map, uint8 ``[H, W]``."""
        palette = self.palette or results.get("label_palette", "color")
        unlisted = self.unlisted or results.get("label_unlisted", "error")
        return read_labels(results["seg_map_path"], self._table_of(results), palette=palette, unlisted=unlisted)

    def _table_of(self, results: dict) -> LabelTable:
        table = results.get("label_table") if self.label_table is None else self.label_table
        if table is None:
            raise ValueError("LoadLabels does not know the class table of the files; pass table=, e.g. table='bdd100k_sem19'")
        return get_table(table)

    def transform(self, results: dict) -> dict:
        """Add the label map, uint8 ``[H, W]``."""
        if results.get("label_map") is not None or results.get("reduce_zero_label"):
            raise ValueError("LoadLabels does not apply label_map or reduce_zero_label; use mmstreet.RemapLabels instead of metainfo=")
        labels = self.get(results)
        path = results["seg_map_path"]
        image_hw = results.get("ori_shape")
        if image_hw is not None and tuple(image_hw) != labels.shape:
            raise LabelFileError(
                f"label file {path} is {labels.shape[1]}x{labels.shape[0]}, but its image is {image_hw[1]}x{image_hw[0]}; "
                "labels must have the image's size"
            )
        results["gt_seg_map"] = labels
        results["label_table"] = self._table_of(results)
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results

    def __repr__(self) -> str:
        name = None if self.label_table is None else self.label_table.name
        return f"LoadLabels(table={name!r}, palette={self.palette!r}, unlisted={self.unlisted!r})"


def hold_files(dataset: BaseDataset, *, share: float = 0.5) -> None:
    """Read what the pipeline's first steps would read again in every epoch, and keep it in memory.

    Worker processes that are forked afterwards share the memory with this one.

    Args:
        dataset: A data set that knows its files.
        share: How much of the machine's memory it may take.

    Raises:
        MemoryError: If the files would take more, judged by the first of them, before the rest is read.
    """
    steps = [step for step in dataset.pipeline.transforms if isinstance(step, _FileStep)]
    limit = share * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for index in range(len(dataset)):
        size = sum(step.hold(dataset.get_data_info(index)) for step in steps)
        if index == 0 and size * len(dataset) > limit:
            raise MemoryError(
                f"cache=True would keep {len(dataset)} images and label maps in memory, about {size * len(dataset) / 1e9:.1f} GB, more "
                f"than the {limit / 1e9:.1f} GB that it may take, half of this machine's; leave cache=False, or choose fewer with indices="
            )
