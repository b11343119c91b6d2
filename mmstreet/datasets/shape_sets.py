"""Data sets whose labels are outlines or segments of objects: Cityscapes' polygons, COCO instances and panoptic, YOLO's lines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmstreet.datasets.class_names import find_class_list, is_void
from mmstreet.datasets.picture_folders import ROLES, split_word
from mmstreet.files.text import read_text
from mmstreet.formats.cityscapes import CityscapesReader
from mmstreet.formats.coco import CocoReader
from mmstreet.formats.coco_panoptic import CocoPanopticReader
from mmstreet.formats.records import Reader
from mmstreet.formats.yolo import YoloReader
from mmstreet.label_table import table_from_rows
from mmstreet.labels import CITYSCAPES19, IDD26, LabelTable

_BLOCK = 1 << 20
_IDD_ONLY = {"autorickshaw", "drivable fallback", "vehicle fallback", "obs-str-bar-fallback"}
_IDD_PARTS = {
    "parking": "drivable fallback",
    "rail track": "non-drivable fallback",
    "animal": "person",
    "caravan": "vehicle fallback",
    "trailer": "vehicle fallback",
    "train": "vehicle fallback",
    "polegroup": "pole",
    "tunnel": "bridge",
    "fallback background": "sky",
}
"""Classes of IDD's polygons that its third level of labels joins with others."""
_CITYSCAPES_VOID = ("out of roi", "ego vehicle", "rectification border", "static", "dynamic", "ground", "license plate", "deleted")
_ROBOFLOW = "_annotations.coco.json"


@dataclass(frozen=True)
class ShapeSet:
    """A data set of outlines.

    Attributes:
        title: What it is.
        parts: Its label files: where their images lie below the root, the split that their name says, or nothing, and the reader.
        table: The classes of the outlines.
        has_background: Whether pixels outside of all outlines are a class, ``background``; otherwise they are void.
        target: Name of the known table that is learned, or ``None``.
        mapping: Names of the outlines that become another class of that table.
    """

    title: str
    parts: tuple[tuple[str, str, Reader], ...]
    table: LabelTable
    has_background: bool
    target: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)


def recognise_shapes(root: str | Path) -> ShapeSet | None:
    """Recognise a data set whose labels are outlines; ``None`` if there is none.

    Raises:
        ValueError: If its classes are malformed, or its images are not found.
    """
    root = Path(root)
    return _polygons(root) or _coco(root) or _yolo(root)


def _polygons(root: Path) -> ShapeSet | None:
    files = sorted((root / "gtFine").rglob("*_gtFine_polygons.json")) if (root / "leftImg8bit").is_dir() else []
    if not files:
        return None
    names: set[str] = set()
    for path in files:
        names |= {x.decode("utf-8", "replace") for x in re.findall(rb'"label"\s*:\s*"([^"]+)"', path.read_bytes())}
    crowds = {f"{name}group": name for name, row in zip(CITYSCAPES19.names, CITYSCAPES19.labels) if row.is_thing}
    names = {crowds.get(name, name) for name in names}
    kept = sorted(name for name in names if not is_void(name) and name not in _CITYSCAPES_VOID)
    is_idd = bool(_IDD_ONLY & set(kept))
    target = IDD26 if is_idd else CITYSCAPES19
    known = is_idd or sum(name in target.names for name in kept) > len(kept) / 2
    table = _plain_table(kept, f"the polygons of {root}")
    reader = CityscapesReader(root / "gtFine", table, root / "leftImg8bit")
    title = "India Driving Dataset, polygons" if is_idd else "Cityscapes, polygons" if known else "polygons in Cityscapes' folders"
    mapping = {name: to for name, to in _IDD_PARTS.items() if is_idd and name in kept}
    return ShapeSet(title, (("leftImg8bit", "", reader),), table, False, target.name if known else None, mapping)


def _coco(root: Path) -> ShapeSet | None:
    places = [root, root / "annotations", *sorted(path for path in root.iterdir() if path.is_dir())]
    files = [path for place in dict.fromkeys(places) if place.is_dir() for path in sorted(place.glob("*.json"))]
    kinds = {path: _coco_kind(path) for path in files}
    kind = next((kind for kind in ("panoptic", "instances") if kind in kinds.values()), None)
    if kind is None:
        return None
    reader_type = CocoPanopticReader if kind == "panoptic" else CocoReader
    chosen = [path for path in files if kinds[path] == kind]
    table = next((found for path in chosen if (found := reader_type.find_table(path)) is not None), None)
    if table is None:
        raise ValueError(f"'{chosen[0]}' has no categories; a COCO file names its classes there")
    parts = []
    for path in chosen:
        names = [task.name for task, _ in zip(reader_type(path, table).tasks(), range(3))]
        folder = _find_images(root, path, names)
        role = next((role for role in ("train", "val", "test") if role in path.stem.lower()), "")
        parts.append((os.path.relpath(folder, root), role, reader_type(path, table, folder)))
    return ShapeSet(f"COCO {kind}", tuple(parts), table, kind == "instances")


def _coco_kind(path: Path) -> str | None:
    """Tell by what stands in a file, without parsing it: files of captions, keypoints and boxes are none."""
    seen: set[bytes] = set()
    words = (b'"images"', b'"annotations"', b'"categories"', b'"segments_info"', b'"segmentation"', b'"keypoints"')
    with open(path, "rb") as file:
        end = b""
        while block := file.read(_BLOCK):
            seen |= {word for word in words if word in end + block}
            end = block[-20:]
    if not {b'"images"', b'"annotations"', b'"categories"'} <= seen:
        return None
    if b'"segments_info"' in seen:
        return "panoptic"
    return "instances" if b'"segmentation"' in seen and b'"keypoints"' not in seen else None


def _find_images(root: Path, path: Path, names: list[str]) -> Path:
    role = next((role for role in ("train", "val", "test") if role in path.stem.lower()), "")
    year = next(iter(re.findall(r"20\d\d", path.stem)), "")
    places = [path.parent, root / f"{role}{year}", root / "images" / f"{role}{year}", root / role, root / "images" / role]
    places += [root / role / "images", root / "images", root]
    found = next((place for place in places if names and all((place / name).is_file() for name in names)), None)
    if found is None:
        tried = ", ".join(f"'{place}'" for place in dict.fromkeys(places))
        raise ValueError(f"the images of '{path}', first '{names[0] if names else 'none'}', are in none of {tried}; put them there")
    return found


def _yolo(root: Path) -> ShapeSet | None:
    numbers: set[int] = set()
    pairs = list(_yolo_folders(root))
    for labels, _ in pairs:
        numbers |= {int(line.split()[0]) for path in labels.rglob("*.txt") for line in read_text(path).splitlines() if line.strip()}
    if not numbers:
        return None
    listed = find_class_list(root)
    names = [row["name"] for row in listed[1]] if listed else []
    names += [f"class_{i}" for i in range(len(names), max(numbers) + 1)]
    table = _plain_table(names, f"the names of {root}")
    parts = tuple((os.path.relpath(images, root), "", YoloReader(labels, table, images)) for labels, images in pairs)
    return ShapeSet("YOLO, segmentation", parts, table, True)


def _yolo_folders(root: Path) -> Iterator[tuple[Path, Path]]:
    """Yield folders of label files and of their images, one pair for each split."""
    found = set()
    for directory, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        parts = Path(directory).relative_to(root).parts
        texts = [name for name in files if name.endswith(".txt")]
        if "labels" not in parts or not texts or not any(_is_yolo(Path(directory, name)) for name in sorted(texts)[:20]):
            continue
        place = len(parts) - 1 - parts[::-1].index("labels")
        after = parts[place + 1 : place + 2] if place + 1 < len(parts) and parts[place + 1].lower() in ROLES else ()
        found.add((root.joinpath(*parts[:place], "labels", *after), root.joinpath(*parts[:place], "images", *after)))
    yield from sorted(pair for pair in found if pair[1].is_dir())


def _is_yolo(path: Path) -> bool:
    lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
    return bool(lines) and all(len(x) >= 7 and len(x) % 2 == 1 and re.fullmatch(r"\d+", x[0]) for x in lines)


def place_of(folder: str) -> tuple[str, str]:
    """Return a folder with its split as ``{split}``, and the word of the split; none where it has none."""
    parts, word = split_word(Path(folder).parts)
    return "/".join(parts) or ".", word


def _plain_table(names: list[str], where: str) -> LabelTable:
    return table_from_rows([{"name": name} for name in names], name=where, known={}, unique_colors=False)
