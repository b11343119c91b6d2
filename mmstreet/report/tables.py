"""Results as files and as text: JSON that every parser reads, CSV per class and per image, Markdown tables."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_CLASS_COLUMNS = ("class", "IoU", "Acc", "Precision", "truth_pixels", "predicted_pixels", "group", "frequency")


def write_json(data: object, path: str | Path) -> Path:
    """Write JSON that every parser reads: nan and infinity become ``null``, lists of numbers stay on one line.

    Args:
        data: Dicts, lists, strings, numbers, ``None``; numpy scalars and arrays are converted.
        path: The file; its folder is made if it is missing.
    """
    text = json.dumps(_plain(data), indent=2, allow_nan=False, ensure_ascii=False)
    numbers = re.compile(r"\[\s+([-+.\deE,\s]+?)\s+\]")
    path = _prepare(path)
    path.write_text(numbers.sub(lambda found: f"[{' '.join(found.group(1).split())}]", text) + "\n", encoding="utf-8")
    return path


def write_class_csv(summary: Mapping, path: str | Path) -> Path:
    """Write one line per class: IoU, accuracy and precision in per cent (empty where not measurable), pixels, group and frequency.

    Args:
        summary: The evaluation of one run, with ``per_class``.
        path: The file.
    """
    return _write_csv(_CLASS_COLUMNS, summary["per_class"], path)


def write_image_csv(summary: Mapping, path: str | Path) -> Path:
    """Write one line per image with its mIoU in per cent, the worst first.

    Args:
        summary: The evaluation of one run, with ``images``.
        path: The file.
    """
    return _write_csv(("img_path", "mIoU"), summary["images"], path)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence]) -> str:
    """Lay out cells as a Markdown table whose columns also line up in a terminal.

    Args:
        header: Column names.
        rows: Cells: text stays as it is, floats get two decimals, ``None`` and nan become ``n/a``.

    Example:
        >>> print(markdown_table(["run", "mIoU"], [["v1", 41.5], ["v2", None]]))
        | run |  mIoU |
        | :-- | ----: |
        | v1  | 41.50 |
        | v2  |   n/a |
    """
    cells = [[format_cell(cell) for cell in row] for row in rows]
    widths = [max(3, *(len(row[i]) for row in [list(header), *cells])) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        aligned = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        return f"| {' | '.join(aligned)} |"

    rule = [":" + "-" * (width - 1) if i == 0 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    return "\n".join([line(header), line(rule), *map(line, cells)])


def format_cell(value: object) -> str:
    """Return the text of one table cell: ``n/a`` for ``None`` and nan, two decimals for floats."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "n/a"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_csv(columns: Sequence[str], rows: Iterable[Mapping], path: str | Path) -> Path:
    path = _prepare(path)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    return path


def _prepare(path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
