"""Several runs side by side: their scores with signed differences against the first one, marked where images agree on them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.files import ap_draws
from mmstreet.files.config_text import compare_configs
from mmstreet.files.confusion_scores import compute_scores
from mmstreet.files.image_confusions import bootstrap, interval
from mmstreet.report.charts import line_chart
from mmstreet.report.run_files import Run

_TIMES = ("time", "data_time")
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
    limits = [{}, *(difference_intervals(runs[0], run) for run in runs[1:])]
    names = list(dict.fromkeys(name for table in tables for name in table))
    overall = [name for name in names if name not in _TIMES and ("/" not in name or name in _precisions(runs))]
    per_class = [name for name in names if name.startswith("IoU/")] or [name for name in names if "/AP/" in name]
    shared = [name for name in per_class if all(table.get(name) is not None for table in tables)]
    scores = [compare_scores(name, tables, limits) for name in (*overall, *_SAFETY) if name in names]
    if shared and len(shared) < len(per_class):
        means = [sum(table[name] for name in shared) / len(shared) for table in tables]
        row = f"mean of the {len(shared)} classes that all runs have"
        scores.insert(0, compare_scores(row, [{row: mean} for mean in means], [{}] * len(runs)))
    return {
        "names": [run.name for run in runs],
        "scores": scores,
        "classes": [
            compare_scores(name, tables, limits) | {"name": name.rpartition("/")[2] if name.startswith("IoU/") else name}
            for name in per_class
        ],
        "warnings": [*_find_warnings(runs), *_unmarked(runs, limits)],
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


def compare_scores(name: str, tables: Sequence[Mapping], limits: Sequence[Mapping]) -> dict:
    """One row of a table: a value per run, its signed difference to the first, and whether that is better.

    It is better or worse where the interval of the difference excludes 0, and ``None`` elsewhere.

    Args:
        name: The score.
        tables: Scores of each run.
        limits: For each run the intervals of its differences to the first, by score; see :func:`difference_intervals`.
    """
    values = [table.get(name) for table in tables]
    cells = []
    for i, (value, known) in enumerate(zip(values, limits)):
        difference = None if i == 0 or value is None or values[0] is None else value - values[0]
        between = known.get(name) if difference is not None else None
        sure = between is not None and (between[0] > 0 or between[1] < 0) and abs(difference) >= 0.005
        cells.append(
            {
                "value": value,
                "difference": signed(difference),
                "better": difference > 0 if sure else None,
                "interval": between and f"{signed(between[0])} to {signed(between[1])}",
            }
        )
    return {"name": name, "cells": cells}


def difference_intervals(first: Run, other: Run) -> dict[str, list[float] | None]:
    """Intervals of the differences between two tests of the same images, by the paired bootstrap.

    Returns:
        ``[low, high]`` in per cent points by the name of the score; empty where the tests are of different images, classes or rules, or
        have left no counts by image.
    """
    draws = [run.folder.ap_draws(run.main.folder / ap_draws.FILE) for run in (first, other) if run.main and run.main.instances]
    if len(draws) == 2 and None not in draws:
        return draws[1].differences_to(draws[0])
    one, two = (run.image_counts(run.main) for run in (first, other))
    if one is None or two is None:
        return {}
    a, b = first.main.semantic, other.main.semantic
    two = two.ordered_as(one)
    if two is None or any(a[key] != b[key] for key in ("classes", "scope", "convention")):
        return {}
    if not np.array_equal(*(counts.confusion.sum(2) for counts in (one, two))):
        return {}  # other labels under the same names
    groups, frequencies = ({}, {})
    for kind, members in (("group", groups), ("frequency", frequencies)):
        for i, row in enumerate(a["per_class"]):
            if row.get(kind) is not None:
                members.setdefault(row[kind], []).append(i)

    def score(sums: np.ndarray) -> dict[str, np.ndarray]:
        return compute_scores(sums, a["classes"], groups=groups, frequencies=frequencies, convention=a["convention"])

    before, after = (bootstrap(counts.scored(a["scope"]), score) for counts in (one, two))
    return {name: interval(after[name] - before[name]) for name in before}


def scores_of(run: Run) -> dict[str, float | None]:
    """The scalars that speak for a run: of its main evaluation, or of its last validation; ``None`` where not measured."""
    if run.main is not None:
        return dict(run.main.content["metrics"])
    last = run.scalars.val[-1] if run.scalars.val else {}
    return {name: last[name] if math.isfinite(last[name]) else None for name in run.scalars.names("val") if name in last}


def _precisions(runs: Sequence[Run]) -> set[str]:
    """Names of the average precisions of all classes, such as ``coco/AP50``."""
    tested = [run.main.instances for run in runs if run.main is not None and run.main.instances]
    return {f"{protocol}/{name}" for one in tested for protocol, part in one["protocols"].items() for name in part["metrics"]}


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


def _unmarked(runs: Sequence[Run], limits: Sequence[Mapping]) -> list[str]:
    names = [run.name for run, known in zip(runs[1:], limits[1:]) if not known]
    return names and [
        f"Differences of {', '.join(names)} to {runs[0].name} are not marked as better or worse: that takes two tests of the same images "
        "by the same rules, each with what mmstreet test keeps of every image or draw (per_image.npz, ap_draws.npz)."
    ]


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
