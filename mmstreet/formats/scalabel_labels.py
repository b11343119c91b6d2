"""The entries of Scalabel's JSON, the label format of BDD100K: frames, and what a label says.

Read are a list of frames; an object with ``frames``; one frame alone; and the 2018 release's one file per image, whose ``frames`` hold
``objects``. Source: the label format pages of the BDD100K and Scalabel documentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mmstreet.files.walk import find_files
from mmstreet.formats.class_lists import table_from_categories
from mmstreet.formats.json_stream import JsonElements
from mmstreet.formats.poly2d import flatten_poly2d
from mmstreet.formats.rules import RecordError, check_name, parse_flags, parse_id, parse_number, parse_points, parse_size, resolve_category
from mmstreet.labels import LabelTable


def iter_raw_frames(path: str | Path) -> Iterator[dict]:
    """Yield the frames of a file, or of all ``*.json`` files of a folder, as the layout with ``labels`` has them.

    A frame without a ``size`` gets the ``imageSize`` of the file's ``config``, wherever that stands in the file.

    Raises:
        FileNotFoundError: If there is nothing at ``path``.
        ValueError: If a file is cut off or of another layout; the message names it.
    """
    path = Path(path)
    files = [path / name for name in find_files(path, ".json")] if path.is_dir() else [path]
    if not files or not path.exists():
        raise FileNotFoundError(f"no labels at {path}: expected a JSON file or a folder of them")
    for file in files:
        stream, per_image, size, size_known = JsonElements(file, key="frames", element_keys=("name", "labels")), [], None, False
        for raw in stream:
            if not isinstance(raw, dict):
                raise ValueError(f"{file}: a frame must be an object, found {type(raw).__name__}")
            if "objects" in raw and "labels" not in raw:
                per_image.append(raw)
                continue
            if raw.get("size") is None:
                if not size_known:
                    size, size_known = _config_size(file, stream), True
                raw["size"] = size
            yield raw
        for raw in per_image:  # name and attributes stand beside the list, maybe behind it
            name = stream.header.get("name", file.stem)
            name = f"{name}.jpg" if isinstance(name, str) and not PurePosixPath(name).suffix else name
            yield {"name": name, "attributes": stream.header.get("attributes"), "labels": raw["objects"]}


def _config_size(file: Path, stream: JsonElements) -> Any:
    """The image size that a file's ``config`` gives, ``None`` when there is none."""
    if stream.is_object and "config" not in stream.header:
        stream = JsonElements(file, key="frames", element_keys=("name", "labels"))
        for _ in stream:  # to the end, behind which the config may stand
            pass
    config = stream.header.get("config")
    return config.get("imageSize") if isinstance(config, dict) else None


def find_config_table(path: str | Path) -> LabelTable | None:
    """Return the categories of a file's ``config``; ``None`` if it has none, or none before its frames."""
    if not Path(path).is_file():
        return None
    stream = JsonElements(path, key="frames", element_keys=("name", "labels"))
    next(iter(stream), None)
    config = stream.header.get("config")
    categories = config.get("categories") if isinstance(config, dict) else None
    return table_from_categories(categories, path)


def frame_name(raw: dict) -> str:
    """Return the path of a raw frame's image below the image folder; see :func:`mmstreet.formats.rules.check_name`."""
    name = check_name(raw.get("name"))
    # Names repeat between the videos of the tracking sets, whose frames carry an index.
    if raw.get("videoName") and raw.get("frameIndex") is not None:
        return f"{check_name(raw['videoName'])}/{name}"
    return name


def frame_size(raw: dict) -> tuple[int, int] | None:
    """Return height and width of a frame, by its ``size`` or else by its run-length masks; ``None`` when neither tells.

    Raises:
        ValueError: If the size is malformed.
    """
    if raw.get("size") is not None:
        return parse_size(raw["size"])
    masks = [label.get("rle") for label in raw.get("labels") or () if isinstance(label, dict)]
    sizes = {tuple(rle["size"]) for rle in masks if isinstance(rle, dict) and _is_size(rle.get("size"))}
    return sizes.pop() if len(sizes) == 1 else None


def _is_size(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(x, int) and 1 <= x < 1 << 15 for x in value)


def name_label(frame: str, position: int, raw: Any) -> str:
    """Say in messages which label of a frame is meant."""
    label_id = raw.get("id") if isinstance(raw, dict) else None
    return f"frame '{frame}', label {f'at position {position}' if label_id in (None, '') else f'{label_id!s:.40}'}"


def parse_label(raw: Any, table: LabelTable) -> dict:
    """Return what a label says beside its geometry, as entries of an :class:`mmstreet.formats.records.InstanceRecord`.

    Raises:
        RecordError: If the label is no object, its category is not in the table, or an id, flag or score is malformed.
    """
    if not isinstance(raw, dict):
        raise RecordError("malformed label", f"a label must be an object, got {type(raw).__name__}")
    attributes = raw.get("attributes") or {}
    if not isinstance(attributes, dict):
        raise RecordError("malformed label", f"attributes must be an object, got {type(attributes).__name__}")
    label_id, flags = parse_id(raw.get("id")), parse_flags(attributes)
    if label_id == "-1":  # the tracking sets' id of regions that hold many objects
        flags |= {"crowd": True, "ignored": True}
    score = None if raw.get("score") is None else parse_number("score", raw["score"])
    category, uncertain = resolve_category(raw.get("category"), table.names)
    flags["ignored"] |= uncertain
    return {"category_id": table.labels[table.index(category)].raw_id, "source_id": label_id, **flags, "score": score}


def parse_box(raw: Any) -> tuple[float, float, float, float] | None:
    """Return a ``box2d`` as ``(x, y, width, height)``, ``None`` for ``None``; the pixels ``x2`` and ``y2`` belong to it.

    Raises:
        RecordError: If it is malformed or inverted.

    Example:
        >>> parse_box({"x1": 0, "y1": 1.5, "x2": 356, "y2": 701.5})
        (0, 1.5, 357, 701.0)
    """
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise RecordError("malformed box", f"box2d must be an object with x1, y1, x2, y2, got {raw!r:.100}")
    x1, y1, x2, y2 = (parse_number(key, raw.get(key)) for key in ("x1", "y1", "x2", "y2"))
    if x2 < x1 or y2 < y1:
        raise RecordError("inverted box", f"box2d is inverted, x {x1} … {x2}, y {y1} … {y2}")
    return x1, y1, x2 + 1 - x1, y2 + 1 - y1


def parse_poly2d(raw: Any) -> list[np.ndarray]:
    """Return the corners of each polygon, float ``[M, 2]``, curves replaced by straight pieces.

    Read are today's list of polygons and the 2018 release's one polygon of ``[x, y, letter]``.

    Raises:
        RecordError: If a polygon is malformed.
    """
    if not isinstance(raw, list):
        raise RecordError("malformed polygon", f"poly2d must be a list, got {type(raw).__name__}")
    if all(isinstance(part, list) for part in raw):
        raw = [{"vertices": [p[:2] for p in raw], "types": "".join(str(p[2]) if len(p) > 2 else "L" for p in raw)}]
    polygons = []
    for part in raw:
        if not isinstance(part, dict) or not isinstance(part.get("vertices"), list):
            raise RecordError("malformed polygon", "each polygon of poly2d needs vertices, a list of [x, y]")
        points, types = parse_points(part["vertices"]), part.get("types")
        polygons.append(points if types is None else flatten_poly2d(points, str(types), closed=part.get("closed") is not False))
    return polygons
