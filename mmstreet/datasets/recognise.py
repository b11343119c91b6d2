"""What kind of data set lies in a folder: a published one, one in a tool's format, or folders of images and masks."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from mmstreet.datasets.class_names import Row, find_class_list
from mmstreet.datasets.folders import describe_folder
from mmstreet.datasets.label_survey import survey_file, survey_labels
from mmstreet.datasets.layouts import LAYOUTS, Layout
from mmstreet.datasets.picture_folders import pair_folders
from mmstreet.files.images import PICTURE_NAME, ImageFileError
from mmstreet.labels import LabelTable

_TITLES = {
    "bdd100k_10k": "BDD100K, 10k images",
    "bdd100k_2018": "BDD100K, release of 2018",
    "cityscapes": "Cityscapes, label ids",
    "cityscapes_train_ids": "Cityscapes, train ids",
    "acdc": "ACDC, label ids",
    "acdc_train_ids": "ACDC, train ids",
    "idd": "India Driving Dataset, level 3 ids",
    "vistas_v1.2": "Mapillary Vistas 1.2",
    "vistas_v2.0": "Mapillary Vistas 2.0",
    "camvid_segnet": "CamVid, 11 classes, SegNet's folders",
    "camvid11": "CamVid, 11 classes",
    "wilddash2": "WildDash 2",
}
_PLAIN_FOLDERS = ("camvid_segnet", "camvid11", "wilddash2")
"""Layouts whose folders any data set may have: names and ids have to fit too."""
_CAMVID_NAME = re.compile(r"(0001TP|0006R0|0016E5|Seq05VD)_")
_SAMPLE = 12


@dataclass(frozen=True)
class Recognised:
    """A data set.

    Attributes:
        title: What it is.
        layout: Where its files lie.
        table: Its class table, if it is a known one.
        list_path: The file that names its classes.
        listed: The rows of that file.
        drawn: Whether the label maps are drawn from outlines; ``listed`` then holds the rows of their classes.
        remap: What ``remap`` in the description says.
        lists: Names of the images of each split, where label files say that and folders do not.
    """

    title: str
    layout: Layout
    table: LabelTable | None = None
    list_path: Path | None = None
    listed: list[Row] | None = None
    drawn: bool = False
    remap: dict | None = None
    lists: dict[str, list[str]] | None = None


def recognise_maps(root: str | Path, *, plain: bool = True) -> Recognised | None:
    """Recognise a data set whose labels are PNG maps.

    Args:
        root: Its folder.
        plain: Also folders that no published data set has.

    Returns:
        What it is; ``None`` if there are no pairs of images and label maps.
    """
    root = Path(root)
    for name, layout in LAYOUTS.items():
        splits = [split for split in layout.splits(root) if layout.image_folders(root, split)]
        if any(layout.has_labels(root, split) for split in splits) and (name not in _PLAIN_FOLDERS or _fits(layout, root, splits)):
            return Recognised(_TITLES[name], layout, layout.read_table(root))
    layout = pair_folders(root) if plain else None
    if layout is None:
        return None
    found = find_class_list(root)
    title = "folders of images and label maps"
    if layout.label_dir.endswith("SegmentationClass"):
        title = "CVAT or Pascal VOC, segmentation masks"
    elif found and {"LaneMkgsDriv", "Column_Pole"} <= {row["name"] for row in found[1]}:
        title = "CamVid, 32 classes as published"
    return Recognised(title, layout, None, *(found or (None, None)))


def nothing_found(root: str | Path) -> FileNotFoundError:
    """Say that a folder holds no data set that is recognised, and what it holds."""
    return FileNotFoundError(
        f"'{root}' holds no images with labels that are recognised: expected a published data set, COCO or YOLO files, or "
        f"folders of images and of PNG masks whose names begin alike; {_why_not(Path(root)) or describe_folder(root)}"
    )


def _why_not(root: Path) -> str:
    """Say why the files of a folder that is called like labels are none; nothing if there is no such folder."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if not re.search(r"label|mask|seg|annot|gt", Path(directory).name, re.IGNORECASE):
            continue
        for name in sorted(names)[:_SAMPLE]:
            path = os.path.join(directory, name)
            if name.endswith(".txt") and re.match(
                r"\d+( +[-+.\deE]+){4}\s*$", Path(path).read_bytes()[:200].decode("latin-1").split("\n")[0]
            ):
                return f"'{path}' holds YOLO's boxes, which have no outlines"
            try:
                survey_file(path) if PICTURE_NAME.search(name) else None
            except (ImageFileError, OSError) as error:
                return str(error)
    return ""


def _fits(layout: Layout, root: Path, splits: list[str]) -> bool:
    labels = [(stem, path) for split in splits for stem, path in layout.labels(root, split).items()]
    some = labels[:: max(1, len(labels) // _SAMPLE)]
    if layout.name == "wilddash2":
        if not (root / "panoptic.json").is_file():
            return False
    elif not all(_CAMVID_NAME.match(stem.rpartition("/")[2]) for stem, _ in some):
        return False
    found = survey_labels([path for _, path in some], workers=1)
    table = layout.read_table(root)
    known = {row.raw_id for row in table.labels} | {*table.void_ids, 255}
    return bool(found.ids) and (layout.unlisted == "ignore" or set(found.ids) <= known)
