"""Every label format by name: what it is, its reader and its writer. A class is imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mmstreet.formats.records import Reader, Writer


class Format(NamedTuple):
    """One label format: what its files are, where its classes are in this room, and the class table when the files name no classes."""

    summary: str
    reader: str | None
    writer: str | None
    table: str = "bdd100k_sem19"


FORMATS: Mapping[str, Format] = {
    "scalabel": Format("Scalabel JSON with run lengths", "scalabel:ScalabelReader", "scalabel:ScalabelWriter", "bdd100k_ins8"),
    "bitmask": Format("BDD100K's RGBA bitmasks, a folder", "bitmask:BitmaskReader", "bitmask:BitmaskWriter", "bdd100k_ins8"),
    "semantic": Format("PNG files of class ids, a folder", "semantic:SemanticReader", "semantic:SemanticWriter"),
    "cityscapes": Format(
        "Cityscapes' polygons, label ids and instance ids, a folder",
        "cityscapes:CityscapesReader",
        "cityscapes:CityscapesWriter",
        "cityscapes19",
    ),
    "coco": Format("COCO instances JSON", "coco:CocoReader", "coco:CocoWriter", "bdd100k_ins8"),
    "coco-panoptic": Format("COCO panoptic JSON and PNGs", "coco_panoptic:CocoPanopticReader", "coco_panoptic:CocoPanopticWriter"),
    "yolo": Format("YOLO's segmentation labels, a folder", "yolo:YoloReader", "yolo:YoloWriter", "bdd100k_ins8"),
    "cvat": Format("CVAT's segmentation masks 1.1, Pascal VOC's layout, a .zip file", "cvat:CvatReader", "cvat:CvatWriter"),
    "parquet": Format("parquet, columns image and label, for Hugging Face", "parquet:ParquetReader", "parquet:ParquetWriter"),
    "webdataset": Format("WebDataset's tar shards", "shards:ShardReader", "shards:ShardWriter"),
    "predictions": Format("a folder of mmstreet predict", "predictions:PredictionReader", None),
    "fiftyone": Format("a data set on disk for FiftyOne's app", None, "fiftyone_folder:FiftyOneWriter"),
}

READERS = tuple(name for name, row in FORMATS.items() if row.reader)
"""Names of the formats that can be read."""
WRITERS = tuple(name for name, row in FORMATS.items() if row.writer)
"""Names of the formats that can be written."""


def get_reader(name: str) -> type[Reader]:
    """Return the reader of a format; it is built as ``Reader(path, table, image_root)``.

    Raises:
        ValueError: If there is none of that name; the message names the nearest.
    """
    return _find(name, READERS, FORMATS[name].reader if name in READERS else None, "read")


def get_writer(name: str) -> type[Writer]:
    """Return the writer of a format; it is built as ``Writer(path, table)``.

    Raises:
        ValueError: If there is none of that name; the message names the nearest.
    """
    return _find(name, WRITERS, FORMATS[name].writer if name in WRITERS else None, "written")


def _find(name: str, names: tuple[str, ...], place: str | None, what: str) -> type:
    if place is None:
        near = difflib.get_close_matches(name, names, 1)
        raise ValueError(f"no format '{name}' is {what}; {f'did you mean {near[0]!r}' if near else 'choose one of ' + ', '.join(names)}")
    module, _, attribute = place.partition(":")
    return getattr(importlib.import_module(f"mmstreet.formats.{module}"), attribute)
