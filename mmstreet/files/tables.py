"""Tables as text: CSV files, and Markdown for terminals and documents."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmstreet.files.atomic import atomic_path


def write_csv(rows: Iterable[Sequence], path: str | Path) -> Path:
    """Write rows of cells, the header first: floats with four decimals, ``None`` as an empty cell.

    Args:
        rows: The lines of the table.
        path: The file; its folder is made if it is missing.
    """
    with atomic_path(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return Path(path)


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
