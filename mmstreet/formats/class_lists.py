"""The classes of a folder of labels, for formats whose own files do not name them: rows of a class table in ``classes.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmstreet.files.atomic import write_json
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.formats.json_stream import load_json
from mmstreet.labels import LabelTable, get_table

CLASSES = "classes.json"


def read_class_list(folder: str | Path) -> LabelTable | None:
    """Return the table in a folder's ``classes.json``, ``None`` where there is no such file.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    path = Path(folder) / CLASSES
    return get_table(load_json(path), name=str(path)) if path.is_file() else None


def write_class_list(table: LabelTable, folder: str | Path) -> None:
    """Write the rows of a table, from which :func:`read_class_list` makes it again."""
    write_json(table.rows, Path(folder) / CLASSES)


def table_from_categories(categories: Any, path: str | Path) -> LabelTable | None:
    """Return the class table of a file's list of categories, COCO's or Scalabel's, ``None`` if it has none.

    Ids are the file's own, or count from 1 where one of them is above 254 or missing. A class whose ``isthing`` is not 0 can be counted.

    Raises:
        ValueError: If a name or an id is there twice or malformed; the message names the file.
    """
    if not isinstance(categories, list) or not categories:
        return None
    if not all(isinstance(row, dict) for row in categories):
        raise ValueError(f"{path}: categories must be objects with a name")
    fit = all(isinstance(row.get("id"), int) and 0 <= row["id"] < IGNORE_INDEX for row in categories)
    rows = [
        {
            "name": row.get("name"),
            "id": row["id"] if fit else i,
            "thing": row.get("isthing") != 0,
            **({"group": row["supercategory"]} if isinstance(row.get("supercategory"), str) else {}),
            **({"color": row["color"]} if isinstance(row.get("color"), list) else {}),
        }
        for i, row in enumerate(categories, start=1)
    ]
    return get_table(rows, name=f"the categories of {path}")


def number_names(names: Iterable[str], *, thing: bool, start: int = 0, where: str) -> LabelTable:
    """Return a table of class names: ids count from ``start``; colours and groups are those of known classes of these names.

    Args:
        names: The names in order.
        thing: Whether every class can be counted; otherwise known classes say so themselves.
        start: Id on disk of the first class.
        where: The file that has the names, for messages.

    Raises:
        ValueError: If a name is empty or there twice, or there are more than 254.
    """
    return get_table([{"name": name, "id": i, **({"thing": True} if thing else {})} for i, name in enumerate(names, start)], name=where)


def renumber(table: LabelTable, *, low: int, high: int) -> LabelTable:
    """Return the table itself if all ids on disk lie in ``low … high``, otherwise one of the same classes whose ids count from ``low``.

    Raises:
        ValueError: If there are too many classes.
    """
    if all(low <= label.raw_id <= high for label in table.labels):
        return table
    if len(table) > high - low + 1:
        raise ValueError(f"table '{table.name}' has {len(table)} classes, and the format has room for {high - low + 1}")
    return get_table([{**row, "id": i} for i, row in enumerate(table.rows, low)], name=table.name)
