"""Results as text: CSV per class and per image, Markdown tables."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mmstreet.files.atomic import atomic_path

_CLASS_COLUMNS = ("class", "IoU", "Acc", "Precision", "truth_pixels", "predicted_pixels", "group", "frequency")


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


def _write_csv(columns: Sequence[str], rows: Iterable[Mapping], path: str | Path) -> Path:
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in row.items()})
    return Path(path)
