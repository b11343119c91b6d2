"""Several runs side by side: their scores with signed differences against the first one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from mmstreet.files.config_text import compare_configs
from mmstreet.report.charts import line_chart
from mmstreet.report.run_files import Run

_LOWER_IS_BETTER = ("safety/score_error",)
_TIMES = ("time", "data_time")
_NEITHER = ("safety/score",)
_SAFETY = ("safety/score", "safety/score_error", "safety/level_agreement")


def compare_runs(runs: Sequence[Run]) -> dict:
    """Put the scores, curves and configs of runs beside each other.

    Args:
        runs: Two or more; differences are against the first.

    Returns:
        JSON-ready: ``names``; ``scores`` and ``classes``, rows with ``name`` and ``cells`` (``value``, ``difference``, ``better``);
        ``warnings``, why numbers of different runs may not be comparable; ``charts``; ``configs``, changes from each run to the next.
    """
    tables = [scores_of(run) for run in runs]
    names = list(dict.fromkeys(name for table in tables for name in table))
    overall = [name for name in names if "/" not in name and name not in _TIMES]
    per_class = [name for name in names if name.startswith("IoU/")] or [name for name in names if "/AP/" in name]
    shared = [name for name in per_class if all(table.get(name) is not None for table in tables)]
    scores = [compare_values(name, [table.get(name) for table in tables]) for name in (*overall, *_SAFETY) if name in names]
    if shared and len(shared) < len(per_class):
        means = [sum(table[name] for name in shared) / len(shared) for table in tables]
        scores.insert(0, compare_values(f"mean of the {len(shared)} classes that all runs have", means))
    return {
        "names": [run.name for run in runs],
        "scores": scores,
        "classes": [
            compare_values(name.rpartition("/")[2] if name.startswith("IoU/") else name, [t.get(name) for t in tables])
            for name in per_class
        ],
        "warnings": _find_warnings(runs),
        "charts": [chart for chart in (_join_curves(runs, *what) for what in _CURVES) if chart],
        "configs": [
            {"before": one.name, "after": two.name, "changes": compare_configs(one.config, two.config)}
            for one, two in itertools.pairwise(runs)
            if one.config and two.config
        ],
    }


_CURVES = (
    ("train", "loss", "Training loss", "iteration"),
    ("val", "mIoU", "mIoU in validation", ""),
    ("val", "aAcc", "Pixel accuracy", ""),
)


def signed(difference: float | None) -> str:
    """Write a difference with its sign, two decimals, a real minus.

    Example:
        >>> [signed(value) for value in (1.5, -0.25, 0.001, None)]
        ['+1.50', '−0.25', '±0.00', '']
    """
    if difference is None:
        return ""
    text = f"{abs(difference):.2f}"
    return f"±{text}" if float(text) == 0 else f"{'+' if difference > 0 else '−'}{text}"


def compare_values(name: str, values: Sequence[float | None]) -> dict:
    """One row of a table: a value per run, its signed difference to the first, and whether that is better; ``None`` where neither."""
    first = values[0]
    cells = []
    for i, value in enumerate(values):
        difference = None if i == 0 or value is None or first is None else value - first
        better = None
        if difference is not None and abs(difference) >= 0.005 and name not in _NEITHER:
            better = (difference > 0) != (name in _LOWER_IS_BETTER)
        cells.append({"value": value, "difference": signed(difference), "better": better})
    return {"name": name, "cells": cells}


def scores_of(run: Run) -> dict[str, float | None]:
    """The scalars that speak for a run: of its main evaluation, or of its last validation; ``None`` where not measured."""
    if run.main is not None:
        return dict(run.main.content["metrics"])
    last = run.scalars.val[-1] if run.scalars.val else {}
    return {name: last[name] if math.isfinite(last[name]) else None for name in run.scalars.names("val") if name in last}


def _find_warnings(runs: Sequence[Run]) -> list[str]:
    warnings = []
    tested = [run.main.semantic for run in runs if run.main is not None and run.main.semantic]
    classes = {frozenset(name for name in scores_of(run) if name.startswith("IoU/")) for run in runs}
    if len(classes) > 1 or len({one["scope"] for one in tested}) > 1:
        warnings.append(
            "The runs are scored on different classes or pixels: a model of few classes, scored on their pixels only, is spared "
            "the confusion with all others. Compare single classes, and these with care; the means of different sets of classes cannot "
            "be compared."
        )
    silent = [run.name for run in runs if run.main is None]
    if silent and len(silent) < len(runs):
        warnings.append(f"Not tested, the last validation is shown: {', '.join(silent)}.")
    totals = {sum(map(sum, one["confusion"])) for one in tested if one["scope"] == tested[0]["scope"]}
    if len(classes) == 1 and len(totals) > 1:
        warnings.append("The runs were tested on different numbers of pixels: not the same images, or not the same size.")
    return warnings


def _join_curves(runs: Sequence[Run], part: str, name: str, title: str, x_label: str) -> dict | None:
    series = {run.name: run.scalars.series(part, name) for run in runs if name in run.scalars.names(part)}
    return line_chart(title, series, x_label=x_label or step_name(runs[0].config), smooth=part == "train")


def train_settings(config: Mapping) -> Mapping:
    """The settings of a config's training loop; empty where it has none."""
    train = config.get("train_cfg")
    return train if isinstance(train, Mapping) else {}


def step_name(config: Mapping) -> str:
    """What a validation's step counts: epochs, or iterations for a run by iterations."""
    train = train_settings(config)
    return "iteration" if train.get("by_epoch") is False or "Iter" in str(train.get("type", "")) else "epoch"
