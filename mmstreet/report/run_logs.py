"""The scalars of a run, read from the JSON lines that mmengine writes: what training and validation logged, over resumes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmstreet.report.run_folder import RunFolder

_PLACES = {"epoch", "iter", "step"}
_LARGEST = 1e15
"""A curve has a gap where a value is larger: the scale of a chart could not show it."""


@dataclass(frozen=True)
class Scalars:
    """What a run logged.

    Attributes:
        train: One dict per logged iteration, rising in ``step``.
        val: One dict per validation, rising in ``step``, which is the epoch, or the iteration of a run by iterations.
        broken_lines: Lines that could not be read, as a kill in the middle of a write leaves.
        starts: How often the run was started; each resume adds one.
    """

    train: Sequence[Mapping[str, float]]
    val: Sequence[Mapping[str, float]]
    broken_lines: int
    starts: int

    def names(self, part: str) -> list[str]:
        """Names of the scalars of ``'train'`` or ``'val'`` in the order of their first appearance, places left out."""
        return [name for name in dict.fromkeys(name for row in getattr(self, part) for name in row) if name not in _PLACES]

    def series(self, part: str, name: str) -> tuple[list[float], list[float | None]]:
        """Steps and values of one scalar; a value that is not finite is ``None``."""
        rows = [row for row in getattr(self, part) if name in row]
        values = [row[name] for row in rows]
        return [row["step"] for row in rows], [value if math.isfinite(value) else None for value in values]


def read_scalars(folder: RunFolder) -> Scalars:
    """Read every ``<start>/vis_data/scalars.json`` of a work dir, the oldest first.

    Where a later start repeats steps, because it resumed from a checkpoint before the last logged step, the later values count.

    Args:
        folder: The run.
    """
    train, val, broken, starts = [], [], 0, 0
    for path in sorted(folder.path.glob("*/vis_data/scalars.json")):
        fresh_train, fresh_val = [], []
        for line in (folder.text(path) or "").splitlines():
            row = _read_line(line)
            if row is None:
                broken += bool(line.strip())
            elif "step" in row:
                (fresh_train if "iter" in row else fresh_val).append(row)
        train, val = _go_on(train, fresh_train), _go_on(val, fresh_val)
        starts += bool(fresh_train)
    return Scalars(train, val, broken, starts)


def _read_line(line: str) -> dict[str, float] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    numbers = {name: value if abs(value) < _LARGEST else math.nan for name, value in row.items() if type(value) in (int, float)}
    return None if any(math.isnan(numbers.get(place, 0)) for place in _PLACES) else numbers


def _go_on(rows: list[dict], fresh: list[dict]) -> list[dict]:
    return [row for row in rows if row["step"] < fresh[0]["step"]] + fresh if fresh else rows
