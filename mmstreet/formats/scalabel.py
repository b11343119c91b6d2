"""Scalabel's JSON, the label format of BDD100K: from text to frames with boxes, outlines and masks.

Three layouts are read: a list of frames; an object with ``frames``; and the 2018 release's one file per image, whose
``frames`` hold ``objects``. A label that cannot be used raises :class:`LabelError`, which names the frame, the label and a
short reason to count by; whoever reads a whole split decides whether to stop or to skip. Source: the label format pages
of the BDD100K and Scalabel documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from mmstreet.formats.json_stream import JsonElements
from mmstreet.formats.poly2d import flatten_poly2d

ALIASES = {"person": "pedestrian", "motor": "motorcycle", "bike": "bicycle", "caravan": "car", "van": "car"}
"""Names that releases of BDD100K use for the same class."""
IGNORED_AS = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
"""Uncertain regions: kept as this class, and ignored in an evaluation."""


class LabelError(ValueError):
    """A label that cannot be used; ``reason`` is the same short text for all labels with this fault."""

    def __init__(self, reason: str, sentence: str):
        super().__init__(sentence)
        self.reason = reason


@dataclass(frozen=True)
class Box2D:
    """A box in pixels, x to the right and y down; the pixels ``x2`` and ``y2`` belong to it."""

    x1: float
    y1: float
    x2: float
    y2: float

    def to_coco(self, size_hw: tuple[int, int]) -> tuple[float, float, float, float]:
        """Return ``(x, y, width, height)``, clipped to the image; width or height 0 means that nothing is inside.

        Example:
            >>> Box2D(0, 1.5, 356, 701.5).to_coco((720, 1280))
            (0, 1.5, 357, 701.0)
        """
        x, y = max(self.x1, 0), max(self.y1, 0)
        return x, y, max(min(self.x2 + 1, size_hw[1]) - x, 0), max(min(self.y2 + 1, size_hw[0]) - y, 0)


@dataclass(frozen=True)
class Poly2D:
    """One outline: vertices ``(x, y)``, one letter ``L`` or ``C`` for each, and whether it returns to its start."""

    vertices: tuple[tuple[float, float], ...]
    types: str
    closed: bool = True

    def flatten(self) -> np.ndarray:
        """Return the outline's corners, float ``[M, 2]``, curves replaced by straight pieces."""
        return flatten_poly2d(np.array(self.vertices), self.types, closed=self.closed)


@dataclass(frozen=True)
class ScalabelLabel:
    """One label. ``id`` is text, empty when the file gives none; ``rle`` is a COCO run-length mask as it stands in the file."""

    id: str
    category: str
    occluded: bool = False
    truncated: bool = False
    crowd: bool = False
    ignored: bool = False
    score: float | None = None
    box2d: Box2D | None = None
    poly2d: tuple[Poly2D, ...] = ()
    rle: dict | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """One image: its path below the image folder, its attributes (weather, scene, time of day) and its labels."""

    name: str
    labels: tuple[ScalabelLabel, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict)
    size_hw: tuple[int, int] | None = None


def resolve_category(category: str, names: Container[str]) -> tuple[str, bool]:
    """Find the class that a category stands for.

    Args:
        category: Name in the file; blanks around it and capitals do not matter.
        names: The classes wanted.

    Returns:
        The class, and whether the label is ignored because its category is an uncertain one.

    Raises:
        LabelError: If the category stands for none of them.
    """
    name = category.strip().lower()
    for table, ignored in (({name: name}, False), (ALIASES, False), (IGNORED_AS, True)):
        if table.get(name) in names:
            return table[name], ignored
    raise LabelError(f"category '{name}' is not among the classes", f"category '{name}' is not among the classes")


def check_name(name: Any) -> str:
    """Return a file's path below its folder with forward slashes.

    Raises:
        ValueError: If it is no text, empty, absolute, or leads out of the folder.
    """
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"a frame needs a name, got {name!r}")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or PureWindowsPath(name).drive or ".." in path.parts or "\0" in name or not path.parts:
        raise ValueError(f"the name {name!r} leads outside the image folder; names must be relative and without '..'")
    return str(path)


def frame_name(raw: dict) -> str:
    """Return the path of a raw frame's image below the image folder; see :func:`check_name`."""
    name = check_name(raw.get("name"))
    # Names repeat between the videos of the tracking sets, whose frames carry an index.
    if raw.get("videoName") and raw.get("frameIndex") is not None:
        return f"{check_name(raw['videoName'])}/{name}"
    return name


def iter_raw_frames(path: str | Path) -> Iterator[dict]:
    """Yield the frames of a file, or of all ``*.json`` files of a folder, as the layout with ``labels`` has them.

    Raises:
        FileNotFoundError: If there is nothing at ``path``.
        ValueError: If a file is cut off or of another layout; the message names it.
    """
    path = Path(path)
    files = sorted(path.rglob("*.json")) if path.is_dir() else [path]
    if not files or not path.exists():
        raise FileNotFoundError(f"no labels at {path}: expected a JSON file or a folder of them")
    for file in files:
        stream, per_image = JsonElements(file, key="frames"), []
        for raw in stream:
            if not isinstance(raw, dict):
                raise ValueError(f"{file}: a frame must be an object, found {type(raw).__name__}")
            if "objects" in raw and "labels" not in raw:
                per_image.append(raw)
            else:
                yield raw
        for raw in per_image:  # name and attributes stand beside the list, maybe behind it
            name = stream.header.get("name", file.stem)
            name = f"{name}.jpg" if isinstance(name, str) and not PurePosixPath(name).suffix else name
            yield {"name": name, "attributes": stream.header.get("attributes"), "labels": raw["objects"]}


def load_frames(path: str | Path, *, on_bad_label: Callable[[LabelError], None] | None = None) -> Iterator[Frame]:
    """Yield the frames of a file or folder one by one; see :func:`iter_raw_frames` and :func:`parse_frame`."""
    for raw in iter_raw_frames(path):
        yield parse_frame(raw, on_bad_label=on_bad_label)


def parse_frame(raw: dict, *, on_bad_label: Callable[[LabelError], None] | None = None) -> Frame:
    """Check one frame and its labels.

    Args:
        raw: The frame as JSON gives it.
        on_bad_label: Called with each label that cannot be used, which is then left out; ``None`` raises it.

    Raises:
        ValueError: If the frame itself is unusable: no name, a name that leads out of the folder, a malformed size, or
            labels that are no list.
        LabelError: If a label is unusable and ``on_bad_label`` is ``None``.
    """
    name = frame_name(raw)
    size, attributes, raw_labels = raw.get("size"), raw.get("attributes") or {}, raw.get("labels") or []
    if size is not None:
        if not isinstance(size, dict) or not all(isinstance(size.get(k), int) and size[k] > 0 for k in ("height", "width")):
            raise ValueError(f"frame '{name}': size must give width and height in pixels, got {size!r}")
        size = (size["height"], size["width"])
    if not isinstance(raw_labels, list) or not isinstance(attributes, dict):
        raise ValueError(f"frame '{name}': labels must be a list and attributes an object")
    labels = []
    for position, raw_label in enumerate(raw_labels):
        try:
            labels.append(parse_label(raw_label))
        except LabelError as error:
            label_id = raw_label.get("id") if isinstance(raw_label, dict) else None
            which = f"at position {position}" if label_id is None else label_id
            named = LabelError(error.reason, f"frame '{name}', label {which}: {error}")
            if on_bad_label is None:
                raise named from error
            on_bad_label(named)
    return Frame(name, tuple(labels), attributes, size)


def parse_label(raw: dict) -> ScalabelLabel:
    """Check one label.

    Raises:
        LabelError: If it is no object, has no category, or has a malformed flag, box or outline.
    """
    if not isinstance(raw, dict):
        raise LabelError("malformed label", f"a label must be an object, got {type(raw).__name__}")
    category, attributes = raw.get("category"), raw.get("attributes") or {}
    if not isinstance(category, str) or not category.strip():
        raise LabelError("no category", f"category must be a name, got {category!r}")
    if not isinstance(attributes, dict):
        raise LabelError("malformed label", f"attributes must be an object, got {type(attributes).__name__}")
    label_id = "" if raw.get("id") is None else str(raw["id"])
    flags = {flag: _parse_flag(flag, attributes.get(flag)) for flag in ("occluded", "truncated", "crowd", "ignored")}
    if label_id == "-1":  # the tracking sets' id of regions that hold many objects
        flags |= {"crowd": True, "ignored": True}
    score = raw.get("score")
    return ScalabelLabel(
        id=label_id,
        category=category.strip().lower(),
        **flags,
        score=None if score is None else _parse_number("score", score),
        box2d=_parse_box(raw["box2d"]) if raw.get("box2d") is not None else None,
        poly2d=_parse_poly2d(raw["poly2d"]) if raw.get("poly2d") else (),
        rle=raw.get("rle"),
        attributes=attributes,
    )


def _parse_flag(name: str, value: Any) -> bool:
    if value not in (None, True, False):
        raise LabelError("malformed flag", f"{name} must be true or false, got {value!r}")
    return bool(value)


def _parse_number(name: str, value: Any) -> float:
    # Python's JSON reader lets NaN, Infinity and whole numbers of any length pass.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e9:
        raise LabelError("malformed number", f"{name} must be a finite number, got {value!r:.40}")
    return value


def _parse_box(raw: Any) -> Box2D:
    if not isinstance(raw, dict):
        raise LabelError("malformed box", f"box2d must be an object with x1, y1, x2, y2, got {raw!r}")
    box = Box2D(*(_parse_number(key, raw.get(key)) for key in ("x1", "y1", "x2", "y2")))
    if box.x2 < box.x1 or box.y2 < box.y1:
        raise LabelError("inverted box", f"box2d is inverted, x {box.x1} … {box.x2}, y {box.y1} … {box.y2}")
    return box


def _parse_poly2d(raw: Any) -> tuple[Poly2D, ...]:
    """Read today's list of outlines, or the 2018 release's one outline of ``[x, y, letter]``."""
    if not isinstance(raw, list):
        raise LabelError("malformed outline", f"poly2d must be a list, got {type(raw).__name__}")
    if all(isinstance(part, (list, tuple)) for part in raw):
        raw = [{"vertices": [p[:2] for p in raw], "types": "".join(str(p[2]) if len(p) > 2 else "L" for p in raw), "closed": True}]
    outlines = []
    for part in raw:
        vertices = part.get("vertices") if isinstance(part, dict) else None
        if not isinstance(vertices, list) or not all(isinstance(v, (list, tuple)) and len(v) == 2 for v in vertices):
            raise LabelError("malformed outline", "each outline of poly2d needs vertices, a list of [x, y]")
        points = tuple((_parse_number("x", x), _parse_number("y", y)) for x, y in vertices)
        types, closed = part.get("types"), part.get("closed")
        outline = Poly2D(points, "L" * len(points) if types is None else str(types), True if closed is None else bool(closed))
        try:
            outline.flatten()
        except ValueError as error:
            raise LabelError("malformed outline", str(error)) from error
        outlines.append(outline)
    return tuple(outlines)
