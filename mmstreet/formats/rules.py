"""The rules that all readers of labels follow: categories, ids, flags, numbers, sizes, boxes and names.

* A category is matched by name; blanks around it and capitals do not matter, and :data:`ALIASES` name the same classes.
* A flag is true or false, as JSON's ``true``, as 0 or 1, or as text (``"false"``, ``"0"``); the capitals of its name do not matter.
* A box is cut at the image. A box or mask that then holds no pixel is not used.
* The box of a mask is the one around its pixels, whatever box the file gives.
* An instance without a mask is kept with its box; who needs masks leaves it out and counts it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from PIL import Image

from mmstreet.files.rle import bbox_from_counts, parse_rle
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import compact_json
from mmstreet.formats.records import FLAGS, ImageRecord, InstanceRecord
from mmstreet.labels import LabelTable

ALIASES = {"person": "pedestrian", "motor": "motorcycle", "bike": "bicycle", "caravan": "car", "van": "car"}
"""Names that releases of BDD100K use for the same class."""
IGNORED_AS = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
"""Uncertain regions: kept as this class, and ignored in an evaluation."""
_FLAG_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": False}
_MAX_PIXELS = 1 << 31


class RecordError(ValueError):
    """An image or a label that cannot be used; ``reason`` is the same short text for all with this fault."""

    def __init__(self, reason: str, sentence: str):
        super().__init__(sentence)
        self.reason = reason


def resolve_category(category: Any, names: Container[str]) -> tuple[str, bool]:
    """Find the class that a category stands for.

    Args:
        category: Name in the file.
        names: The classes wanted.

    Returns:
        The class, and whether the label is ignored because its category is an uncertain one.

    Raises:
        RecordError: If it is no name, or stands for none of the classes.
    """
    if not isinstance(category, str) or not category.strip():
        raise RecordError("no category", f"category must be a name, got {category!r:.100}")
    if category.strip() in names:
        return category.strip(), False
    name = category.strip().lower()
    for table, ignored in (({name: name}, False), (ALIASES, False), (IGNORED_AS, True)):
        if table.get(name) in names:
            return table[name], ignored
    raise RecordError(f"category '{name}' is not among the classes", f"category '{name}' is not among the classes")


def parse_id(value: Any) -> str:
    """Return an id as text, empty for ``None``; raise :class:`RecordError` if it is neither text nor a whole number."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value != int(value):
        raise RecordError("malformed id", f"its id must be text or a whole number, got {value!r:.40}")
    return str(int(value))


def parse_flags(*sources: dict) -> dict[str, bool]:
    """Find the four flags among the entries of objects; the first object that has one decides.

    Raises:
        RecordError: If a value is neither true nor false, or one object says both under two spellings.
    """
    flags: dict[str, bool] = {}
    for source in sources:
        found: dict[str, set[bool]] = {}
        for key, value in source.items():
            name = key.strip().lower()
            if name in FLAGS and value is not None:
                found.setdefault(name, set()).add(parse_flag(key, value))
        for name, values in found.items():
            if len(values) > 1:
                raise RecordError("malformed flag", f"{name} is given twice, as true and as false")
            flags.setdefault(name, values.pop())
    return {flag: flags.get(flag, False) for flag in FLAGS}


def parse_flag(name: str, value: Any) -> bool:
    """Return a flag as bool, false for ``None``; raise :class:`RecordError` if it is neither true nor false."""
    word = value.strip().lower() if isinstance(value, str) else value
    if word is None or (isinstance(word, str) and word in _FLAG_WORDS):
        return bool(word) and _FLAG_WORDS[word]
    if not isinstance(word, (bool, int, float)) or word not in (0, 1):
        raise RecordError("malformed flag", f"{name} must be true or false, got {value!r:.40}")
    return bool(word)


def parse_number(name: str, value: Any) -> float:
    """Return a finite number; raise :class:`RecordError` if it is none. Python's JSON reader lets NaN and integers of any length pass."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise RecordError("malformed number", f"{name} must be a finite number, got {value!r:.40}")
    return value


def parse_points(value: Any) -> np.ndarray:
    """Return points ``[x, y]``, or a flat list ``[x, y, x, y, …]``, as float64 ``[N, 2]``; raise :class:`RecordError` if they are none."""
    try:
        points = np.asarray(value)
    except ValueError:  # lists of different lengths
        points = np.empty(0, object)
    flat = points.ndim == 1 and len(points) % 2 == 0
    if points.dtype.kind not in "iuf" or not (flat or points.shape[1:] == (2,)) or not (np.abs(points) < 1e9).all():
        raise RecordError("malformed polygon", "a polygon needs a list of points x, y, all finite numbers")
    return points.reshape(-1, 2).astype(np.float64)


def parse_size(value: Any) -> tuple[int, int]:
    """Return height and width of ``{"height": …, "width": …}``.

    Raises:
        ValueError: If they are no whole numbers of 1 or more, or too large for an image.
    """
    sides = [value.get(key) for key in ("height", "width")] if isinstance(value, dict) else []
    if not sides or not all(
        isinstance(x, (int, float)) and not isinstance(x, bool) and 1 <= x < _MAX_PIXELS and x == int(x) for x in sides
    ):
        raise ValueError(f"needs height and width in pixels, got {value!r:.200}")
    if math.prod(sides) >= _MAX_PIXELS:
        raise ValueError(f"has {sides[1]}×{sides[0]} pixels, images of {_MAX_PIXELS} or more are not read")
    return int(sides[0]), int(sides[1])


def parse_attributes(value: Any) -> dict:
    """Return an image's attributes, empty for ``None``; raise ``ValueError`` if they are no object that can be written as JSON."""
    if not isinstance(value or {}, dict):
        raise ValueError(f"attributes must be an object, got {value!r:.100}")
    try:
        compact_json(value).encode()
    except (ValueError, RecursionError) as error:
        raise ValueError(f"its attributes cannot be written as JSON ({error})") from error
    return value or {}


def check_name(name: Any) -> str:
    """Return a file's path below its folder with forward slashes.

    Raises:
        ValueError: If it is no text, empty, absolute, or leads out of the folder.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"an image needs a name, got {name!r:.100}")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or not path.parts:
        raise ValueError(f"the name {name!r:.200} leads outside the image folder; names must be relative and without '..'")
    if not name.isprintable() or max(map(len, path.parts)) > 250:
        raise ValueError(f"no file can have the name {name!r:.200}; names are printable and up to 250 characters long")
    return str(path)


def check_image(name: str, size_hw: tuple[int, int] | None, image_root: Path | None) -> tuple[int, int] | None:
    """Compare an image's size with its file and return it, ``None`` when neither labels nor file tell.

    Args:
        name: Path below ``image_root``.
        size_hw: Size that the labels give; ``None`` when they give none.
        image_root: Image folder; ``None`` trusts the labels.

    Raises:
        RecordError: If the file is missing, unreadable or of another size.
    """
    if image_root is None:
        return size_hw
    path = Path(image_root) / name
    try:
        if not path.is_file():
            raise RecordError("image file is missing", f"no image at {path}")
        with Image.open(path) as picture:  # reads the header only
            found = picture.size[::-1]
    except RecordError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise RecordError("image file is unreadable", f"{path} cannot be read ({error})") from error
    if size_hw not in (None, found):
        sentence = f"the labels are for {size_hw[1]}×{size_hw[0]} pixels, {path} has {found[1]}×{found[0]}"
        raise RecordError("image size disagrees with the file", sentence)
    return found


def read_run_lengths(rle: Any, size_hw: tuple[int, int]) -> np.ndarray:
    """Return the run lengths of a mask ``{"counts": …, "size": …}``; raise :class:`RecordError` if it is malformed."""
    try:
        return parse_rle(rle, size_hw)
    except ValueError as error:
        raise RecordError("malformed run-length mask", str(error)) from error


def build_instance(entries: dict, bbox: tuple | None, counts: np.ndarray | None, size_hw: tuple[int, int]) -> InstanceRecord:
    """Make the record of a label.

    Args:
        entries: The record's other attributes.
        bbox: ``(x, y, width, height)``, cut at the image here; a mask's own box takes its place.
        counts: Run lengths of the mask, if there is one.
        size_hw: Size of the image.

    Raises:
        RecordError: If there is neither box nor mask, or no pixel of the image in it.
    """
    if counts is not None:
        bbox = bbox_from_counts(counts, size_hw[0])
    elif bbox is None:
        raise RecordError("neither box nor mask", "it has neither a box nor a mask")
    else:
        (x, y, width, height), (left, top) = bbox, (max(bbox[0], 0), max(bbox[1], 0))
        bbox = left, top, min(width - (left - x), size_hw[1] - left), min(height - (top - y), size_hw[0] - top)
    if not (bbox[2] > 0 and bbox[3] > 0):
        kind = "box" if counts is None else "mask"
        raise RecordError(f"{kind} holds no pixel of the image", f"its {kind} holds no pixel of the {size_hw[1]}×{size_hw[0]} image")
    return InstanceRecord(**entries, bbox=bbox, counts=counts)


def parse_each(parse: Callable[[Any], Any], labels: Iterable, where: Callable[[int, Any], str], report: ConversionReport) -> list:
    """Apply ``parse`` to each label of an image; count those that cannot be used, named by ``where(position, label)``."""
    parsed = []
    for position, label in enumerate(labels):
        try:
            parsed.append(parse(label))
        except RecordError as error:
            report.skip_instance(error.reason, f"{where(position, label)}: {error}")
    return parsed


def known_categories(name: str, instances: list[InstanceRecord], table: LabelTable, report: ConversionReport) -> list[InstanceRecord]:
    """Return the instances of a bitmask whose category id is in the table; count the others."""
    known = {label.raw_id for label in table.labels}
    for instance in instances:
        if instance.category_id not in known:
            sentence = f"bitmask of '{name}', id {instance.source_id}: table '{table.name}' has no category id {instance.category_id}"
            report.skip_instance("category id is not in the table", sentence)
    return [instance for instance in instances if instance.category_id in known]


def build_image(name: str, size_hw: tuple, attributes: dict, instances: list, report: ConversionReport, **entries: Any) -> ImageRecord:
    """Make an image's record; note ids that are not unique and instances that have no mask."""
    for label_id, times in Counter(x.source_id for x in instances if x.source_id not in ("", "-1")).items():
        if times > 1:
            report.note("label id is not unique in its image, all kept", f"image '{name}', label {label_id}: {times} labels have this id")
    for instance in instances:
        if instance.counts is None:
            report.note("instance has a box but no mask", f"image '{name}', label {instance.source_id}: has a box but no mask")
    return ImageRecord(name, size_hw, attributes, tuple(instances), **entries)
