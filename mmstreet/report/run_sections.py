"""One run as plain data for a page: tiles, curves, evaluations, config, environment, commands."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmstreet.report.album_lists import describe_album
from mmstreet.report.charts import line_chart
from mmstreet.report.comparison import scores_of, step_name, train_settings
from mmstreet.report.evaluation_sections import compare_evaluations, describe_evaluation, describe_refinement
from mmstreet.report.run_files import Run
from mmstreet.report.sections import list_sections

_TILES = {
    "mIoU": "mean IoU",
    "aAcc": "pixel accuracy",
    "mAcc": "mean accuracy",
    "fwIoU": "frequency-weighted IoU",
    "iIoU": "instance-weighted IoU",
    "catIoU": "category IoU",
    "IoU_common": "common classes",
    "IoU_medium": "medium classes",
    "IoU_rare": "rare classes",
    "safety/score": "safety score",
}
_NOT_APART = ("lr", "base_lr", "data_time", "time")


def describe_run(run: Run, *, number: int = 1, shared: Mapping | None = None) -> dict:
    """Turn a run into the data that the page shows; what the run did not leave is empty or ``None``.

    Args:
        run: The run.
        number: Its number on the page, from 1.
        shared: The album of several runs, to which the tables of this one lead; ``None`` gives each evaluation one of its own.
    """
    main = run.main
    measured = (main and (main.semantic or main.instances)) or {}
    config = dict.fromkeys(("file", "question", "base", "problem")) | run.record.get("config", {})
    checkpoints = {one.name: _shorten(one.content.get("checkpoint"), run.folder.path) for one in run.evaluations}
    shown = {
        "name": run.name,
        "path": str(run.folder.path),
        "question": config.get("question"),
        "facts": _list_facts(run),
        "tiles": _list_tiles(scores_of(run), measured.get("intervals", {}).get("scores", {})),
        "tested": main.name if main else None,
        "checkpoint": checkpoints[main.name] if main else None,
        "curves": _render_curves(run),
        "scores": compare_evaluations(run.evaluations),
        "evaluations": _describe_evaluations(run, number, shared),
        "refinement": describe_refinement(run.refinement, run.folder) if run.refinement else None,
        "sections": list_sections(run.evaluations, run.folder),
        "config": config,
        "changes": [dict(zip(("key", "before", "after"), change)) for change in config.get("changes", []) if len(change) == 3],
        "config_text": run.config_text,
        "environment": run.record.get("environment") or {},
        "environment_text": run.environment_text,
        "commands": run.record.get("commands") or [],
    }
    # Last, for a picture that cannot be shown is a problem too.
    return shown | {"problems": [*_mixed_checkpoints(checkpoints), *run.folder.problems]}


def _describe_evaluations(run: Run, number: int, shared: Mapping | None) -> list[dict]:
    shown = []
    for one in run.evaluations:
        if shared is not None and (one.semantic or one.instances):
            lists = shared["lists"] if one is run.main else {}
            shown.append(describe_evaluation(one, key=f"run{number}", album=None, lists=lists))
        elif one.semantic or one.instances:
            album = describe_album(run, one, first=not shown) if one.semantic else None
            shown.append(describe_evaluation(one, key=one.name, album=album, lists=album["lists"] if album else {}))
    return shown


def _list_tiles(scores: Mapping[str, float | None], intervals: Mapping) -> list[dict]:
    known = {name: value for name, value in scores.items() if value is not None}
    names = {name: text for name, text in _TILES.items() if name in known}
    names = names or {name: name for name in [name for name in known if "AP" in name and name.count("/") <= 1][:8]}
    return [{"name": text, "key": name, "value": known[name], "interval": intervals.get(name)} for name, text in names.items()]


def _mixed_checkpoints(checkpoints: Mapping[str, str | None]) -> list[str]:
    if len({checkpoint for checkpoint in checkpoints.values() if checkpoint}) < 2:
        return []
    return ["The results are of different checkpoints: " + ", ".join(f"{name} of {file}" for name, file in checkpoints.items() if file)]


def _shorten(checkpoint: str | None, folder: Path) -> str | None:
    """A checkpoint of the run itself by its name."""
    inside = checkpoint and Path(checkpoint).resolve().parent == folder.resolve()
    return Path(checkpoint).name if inside else checkpoint


def _list_facts(run: Run) -> list[str]:
    config, scalars, facts = run.config, run.scalars, []
    unit = step_name(config)
    planned = train_settings(config).get("max_epochs" if unit == "epoch" else "max_iters")
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
        return (ended - started).total_seconds() / 60
    except (KeyError, TypeError, ValueError):
        return None


def _render_curves(run: Run) -> list[dict]:
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
