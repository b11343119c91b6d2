"""One run as plain data for a page: tiles, curves, evaluations, config, environment, commands."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmstreet.report.charts import line_chart
from mmstreet.report.comparison import step_name
from mmstreet.report.evaluation_sections import describe_evaluation, describe_refinement, describe_safety
from mmstreet.report.run_files import Run

_TILES = {
    "mIoU": "mean IoU",
    "aAcc": "pixel accuracy",
    "mAcc": "mean accuracy",
    "fwIoU": "frequency-weighted IoU",
    "catIoU": "category IoU",
    "IoU_common": "common classes",
    "IoU_medium": "medium classes",
    "IoU_rare": "rare classes",
    "safety/score": "safety score",
}
_NOT_APART = ("lr", "base_lr", "data_time", "time")


def describe_run(run: Run, *, pictures: bool = True) -> dict:
    """Turn a run into the data that the page shows.

    Args:
        run: The run.
        pictures: Whether the images are embedded.

    Returns:
        A dict of plain data; what the run did not leave is empty or ``None``.
    """
    main = run.main
    metrics = main.content["metrics"] if main else (dict(run.scalars.val[-1]) if run.scalars.val else {})
    changes = (run.record.get("config") or {}).get("changes") or []
    return {
        "name": run.name,
        "path": str(run.path),
        "question": (run.record.get("config") or {}).get("question"),
        "facts": _list_facts(run),
        "tiles": [{"name": text, "key": name, "value": metrics[name]} for name, text in _TILES.items() if metrics.get(name) is not None]
        or [{"name": name, "key": name, "value": value} for name, value in metrics.items() if "AP" in name and name.count("/") <= 1][:8],
        "tested": main.name if main else None,
        "checkpoint": _shorten(main.content.get("checkpoint"), run.path) if main else None,
        "curves": _draw_curves(run),
        "evaluations": [describe_evaluation(one, pictures=pictures) for one in run.evaluations if one.semantic or one.instances],
        "refinement": describe_refinement(run.refinement, pictures=pictures) if run.refinement else None,
        "safety": [describe_safety(one, pictures=pictures) for one in run.evaluations if one.safety],
        "base": (run.record.get("config") or {}).get("base"),
        "base_problem": (run.record.get("config") or {}).get("problem"),
        "config_file": (run.record.get("config") or {}).get("file"),
        "changes": [{"key": key, "before": before, "after": after} for key, before, after in changes],
        "config_text": run.config_text,
        "environment": run.record.get("environment") or {},
        "environment_text": run.environment_text,
        "commands": run.record.get("commands") or [],
    }


def _shorten(checkpoint: str | None, folder: Path) -> str | None:
    """A checkpoint of the run itself by its name."""
    inside = checkpoint and Path(checkpoint).resolve().parent == folder.resolve()
    return Path(checkpoint).name if inside else checkpoint


def _list_facts(run: Run) -> list[str]:
    config, scalars, facts = run.config, run.scalars, []
    unit = step_name(config)
    planned = (config.get("train_cfg") or {}).get("max_epochs" if unit == "epoch" else "max_iters")
    if scalars.train:
        done = int(scalars.train[-1]["epoch" if unit == "epoch" and "epoch" in scalars.train[-1] else "step"])
        facts.append(f"{done} of {planned} {unit}s" if planned else f"{unit} {done}")
        times = [row["time"] for row in scalars.train if math.isfinite(row.get("time", math.nan))]
        waits = [row["data_time"] for row in scalars.train if math.isfinite(row.get("data_time", math.nan))]
        if times:
            loading = f", {100 * sum(waits) / sum(times):.0f} % of it waiting for data" if waits and sum(times) else ""
            facts.append(f"{sum(times) / len(times):.2f} s per iteration{loading}")
    minutes = [m for command in run.record.get("commands") or [] if command.get("kind") == "train" and (m := _minutes(command)) is not None]
    if minutes:
        facts.append(f"trained for {sum(minutes):.0f} min" if sum(minutes) >= 1 else "trained for less than a minute")
    if scalars.starts > 1:
        facts.append(f"started {scalars.starts} times")
    steps, values = scalars.series("val", "mIoU")
    known = [(value, step) for step, value in zip(steps, values) if value is not None]
    if known:
        best, step = max(known)
        facts.append(f"best validation mIoU {best:.2f} in {unit} {step:.0f}")
    if scalars.broken_lines:
        facts.append(f"{scalars.broken_lines} lines of the log could not be read")
    return facts


def _minutes(command: Mapping) -> float | None:
    try:
        ended, started = (datetime.datetime.fromisoformat(command[key]) for key in ("ended", "started"))
    except (KeyError, TypeError, ValueError):
        return None
    return (ended - started).total_seconds() / 60


def _draw_curves(run: Run) -> list[dict]:
    scalars, unit = run.scalars, step_name(run.config)

    def take(part: str, names: Sequence[str], cut: str = "") -> dict:
        return {name.removeprefix(cut): scalars.series(part, name) for name in names}

    train, val = scalars.names("train"), scalars.names("val")
    losses = [name for name in train if "loss" in name]
    losses = losses if len(losses) > 2 or "loss" not in losses else ["loss"]  # one loss and its sum are the same curve
    classes = [name for name in val if name.startswith("IoU/")]
    scores = [name for name in val if "/" not in name and name not in ("time", "data_time") and "loss" not in name]
    average = [name for name in val if "AP" in name and name.count("/") == 1] or [name for name in val if "AP" in name][:8]
    rare = _rare_classes(run) & {name.removeprefix("IoU/") for name in classes}
    accuracies = [name for name in train if "acc" in name]
    rest = [name for name in train if name not in _NOT_APART and "loss" not in name and name not in accuracies]
    percent = {"unit": " %", "y_range": (0, 100)}
    charts = [
        line_chart("Training loss", take("train", losses), x_label="iteration", smooth=True),
        line_chart("Validation", take("val", scores[:8]), x_label=unit, **percent) if scores else None,
        line_chart("Average precision in validation", take("val", average), x_label=unit) if average else None,
        line_chart("Validation loss", take("val", [n for n in val if "loss" in n]), x_label=unit),
        line_chart(
            "IoU per class in validation" + (", rare classes strong" if rare else ""),
            take("val", classes, "IoU/"),
            x_label=unit,
            emphasis=sorted(rare),
            **percent,
        ),
        line_chart("Learning rate", take("train", [n for n in ("lr", "base_lr") if n in train][:1]), x_label="iteration"),
        line_chart("Accuracy on training batches", take("train", accuracies), x_label="iteration", smooth=True, **percent),
        *(line_chart(name, take("train", [name]), x_label="iteration", smooth=True) for name in rest),
    ]
    return [chart for chart in charts if chart]


def _rare_classes(run: Run) -> set[str]:
    rows = next((one.semantic["per_class"] for one in run.evaluations if one.semantic), [])
    return {row["class"] for row in rows if row.get("frequency") == "rare"}
