"""Class names that lie beside a data set, in the files in which tools and publishers leave them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

from mmstreet.files.text import read_text

_FEW = 400
"""Lines that a list of classes may have; more is another kind of file."""
_PLACES = (".", "annotations", "labels", "masks", "meta")
VOID_NAMES = ("void", "unlabeled", "unlabelled", "ignore", "ignored", "ignore label", "don't care", "unknown", "other ignored")
"""Names that mean "not labelled"; a class of such a name is not learned."""

VOC20 = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse", "motorbike"),
    *("person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
"""Pascal VOC's classes; 0 is the background."""

Row = dict
"""``name``, and ``id`` and ``color`` where the file says them."""


def find_class_list(root: Path) -> tuple[Path, list[Row]] | None:
    """Find the file that names the classes of a data set: ``labelmap.txt``, ``label_colors.txt``, ``class_dict.csv``, ``classes.txt``, ….

    Args:
        root: The data set's folder; a few folders inside are searched too.

    Returns:
        The file and its rows, the first that can be read; ``None`` if there is none.

    Raises:
        ValueError: If a file of such a name is not UTF-8.
    """
    for place in _PLACES:
        folder = root / place
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        for pattern, read in _READERS.items():
            for path in files:
                if re.fullmatch(pattern, path.name, re.IGNORECASE) and (rows := read(path)):
                    return path, rows
    return None


def is_void(name: str) -> bool:
    """Tell whether a class name means "not labelled"."""
    return name.strip().lower().replace("_", " ") in VOID_NAMES


def _read_lines(path: Path) -> list[str]:
    lines = [line.strip() for line in read_text(path).splitlines()]
    return [line for line in lines if line and not line.startswith(("#", "//"))][: _FEW + 1]


def _read_labelmap(path: Path) -> list[Row]:
    """CVAT's: ``name:R,G,B:parts:actions``; colours may be left out."""
    rows = []
    for line in _read_lines(path):
        name, _, rest = line.partition(":")
        numbers = re.findall(r"\d+", rest.partition(":")[0])
        rows.append({"name": name.strip()} | ({"color": tuple(map(int, numbers))} if len(numbers) == 3 else {}))
    return _checked(rows)


def _read_colors(path: Path) -> list[Row]:
    """CamVid's: ``R G B name``; also ``name R G B``."""
    rows = []
    for line in _read_lines(path):
        found = re.fullmatch(r"(\d+)[\s,]+(\d+)[\s,]+(\d+)[\s,]+(.+)", line)
        after = re.fullmatch(r"(.+?)[\s,:]+(\d+)[\s,]+(\d+)[\s,]+(\d+)", line)
        if found:
            rows.append({"name": found[4].strip(), "color": tuple(map(int, found.groups()[:3]))})
        elif after:
            rows.append({"name": after[1].strip(), "color": tuple(map(int, after.groups()[1:]))})
        else:
            return []
    return _checked(rows)


def _read_table(path: Path) -> list[Row]:
    """A CSV file with a column ``name`` or ``class``, and ``id``, ``r``, ``g``, ``b`` if it has them."""
    rows = []
    for record in csv.DictReader(read_text(path).splitlines()):
        cells = {str(key).strip().lower(): str(value or "").strip() for key, value in record.items()}
        name = next((cells[key] for key in ("name", "class", "class_name", "label") if cells.get(key)), None)
        if name is None:
            return []
        row = {"name": name}
        for id_key in ("id", "class_id", "index", "value"):
            if cells.get(id_key, "").isdecimal():
                row["id"] = int(cells[id_key])
                break
        channels = [next((cells[key] for key in keys if key in cells), "") for keys in (("r", "red"), ("g", "green"), ("b", "blue"))]
        if all(x.isdecimal() for x in channels):
            row["color"] = tuple(map(int, channels))
        rows.append(row)
    return _checked(rows)


def _read_names(path: Path) -> list[Row]:
    """One name per line, with or without its id before it: ``7 road``, ``7: road``, ``7,road``; or with a colour."""
    lines = _read_lines(path)
    if all(len(re.findall(r"\d+", line)) >= 3 for line in lines):
        return _read_colors(path)
    numbered = [re.fullmatch(r"(\d+)\s*[:,;\s]\s*(.+)", line) for line in lines]
    if lines and all(numbered):
        return _checked([{"name": found[2].strip(), "id": int(found[1])} for found in numbered])
    return _checked([{"name": line} for line in lines])


def _read_json(path: Path) -> list[Row]:
    try:
        found = json.loads(read_text(path))
    except (ValueError, RecursionError):
        return []
    return _from_data(found)


def _read_yaml(path: Path) -> list[Row]:
    import yaml

    try:
        found = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError):
        return []
    return _from_data({"names": found["names"]} if isinstance(found, dict) and "names" in found else None)


def _from_data(found: object) -> list[Row]:
    """A list of names or of rows; a dict from ids to names or the reverse; or one of these below a key such as ``names``."""
    if isinstance(found, dict):
        inner = next(
            (found[key] for key in ("names", "classes", "labels", "categories", "id2label") if isinstance(found.get(key), list | dict)),
            None,
        )
        if inner is not None:
            return _from_data(inner)
        if found and all(isinstance(value, str) and str(key).isdecimal() for key, value in found.items()):
            return _checked([{"name": value, "id": int(key)} for key, value in found.items()])
        if found and all(isinstance(value, int) and isinstance(key, str) for key, value in found.items()):
            return _checked([{"name": key, "id": value} for key, value in found.items()])
        return []
    if not isinstance(found, list):
        return []
    rows = []
    for item in found:
        row = {"name": item} if isinstance(item, str) else {}
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            color, number = item.get("color"), item.get("id")
            row = {"name": item["name"]} | ({"id": number} if isinstance(number, int) else {})
            row |= {"color": tuple(color)} if isinstance(color, list) and len(color) == 3 else {}
        rows.append(row)
    return _checked(rows)


def _checked(rows: list[Row]) -> list[Row]:
    """Return the rows, or none if they are no class list."""
    names = [row.get("name") for row in rows]
    is_list = 0 < len(rows) <= _FEW and all(isinstance(name, str) and 0 < len(name) <= 100 for name in names)
    return rows if is_list and len(set(names)) == len(names) else []


_READERS: dict[str, Callable[[Path], list[Row]]] = {
    r"label_?map\.txt": _read_labelmap,
    r"label_?colou?rs?\.txt": _read_colors,
    r"(class_dict|classes|labels|colou?rs|label_?map)\.csv": _read_table,
    r"(classes|class_?names|names|labels|obj)\.(txt|names)": _read_names,
    r"(classes|class_?names|names|labels|id2label|label_?map|categories)\.json": _read_json,
    r".+\.ya?ml": _read_yaml,
}
"""Names of files, the likeliest first, and what reads them."""
