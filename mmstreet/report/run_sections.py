"""One run as plain data for a page: tiles, curves, classes, confusion, pictures, config, environment, commands."""

from __future__ import annotations

import base64
import datetime
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from mmstreet.report.charts import label, line_chart, ticks
from mmstreet.report.comparison import compare_values, step_name
from mmstreet.report.precision_recall import TITLES
from mmstreet.report.run_files import Evaluation, Run

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
        "evaluations": [_describe_evaluation(one, pictures=pictures) for one in run.evaluations if one.semantic or one.instances],
        "refinement": _lay_refinement(run.refinement, pictures=pictures) if run.refinement else None,
        "safety": [_describe_safety(one, pictures=pictures) for one in run.evaluations if one.safety],
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


def _describe_evaluation(one: Evaluation, *, pictures: bool) -> dict:
    semantic, instances = one.semantic, one.instances
    return {
        "name": one.name,
        "checkpoint": one.content.get("checkpoint"),
        "scope": semantic["scope"] if semantic else None,
        "convention": semantic["convention"] if semantic else None,
        "classes": _list_classes(semantic) if semantic else [],
        "mean": _mean_of(one) if semantic else None,
        "confusion": _lay_confusion(semantic) if semantic else None,
        "scatter": _scatter(semantic) if semantic else None,
        "protocols": _list_protocols(instances) if instances else [],
        "worst": _list_worst(one, pictures=pictures),
        "legend": one.worst.get("legend", []),
    }


def _mean_of(one: Evaluation) -> float | None:
    """The mIoU of this evaluation; that of a metric with a prefix stands under its prefix, which is also its folder."""
    metrics = one.content["metrics"]
    return metrics.get(f"{one.folder.name}/mIoU", metrics.get("mIoU"))


def _list_classes(semantic: Mapping) -> list[dict]:
    total = max(1, sum(map(sum, semantic["confusion"])))
    return [row | {"share": 100 * row["truth_pixels"] / total} for row in semantic["per_class"]]


def _lay_confusion(semantic: Mapping) -> dict:
    counts, names = semantic["confusion"], list(semantic["classes"])
    columns = [*range(len(names)), *([len(names)] if any(row[-1] for row in counts) else [])]
    total = max(1, sum(map(sum, counts)))
    rows = []
    for i, row in enumerate(counts):
        pixels = sum(row)
        if i == len(names) and not pixels:
            continue
        shares = [100 * row[j] / pixels if pixels else None for j in columns]
        rows.append(
            {"name": [*names, "background"][i], "share": 100 * pixels / total, "cells": list(zip(shares, (row[j] for j in columns)))}
        )
    return {"columns": [[*names, "no class"][j] for j in columns], "rows": rows}


def _scatter(semantic: Mapping) -> dict | None:
    points = [row for row in _list_classes(semantic) if row["share"] > 0 and row["IoU"] is not None]
    if not points:
        return None
    low, high = (f(math.log10(row["share"]) for row in points) for f in (min, max))
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    return {
        "points": [
            {
                "name": row["class"],
                "left": 100 * (math.log10(row["share"]) - low) / (high - low),
                "top": 100 - row["IoU"],
                "share": row["share"],
                "iou": row["IoU"],
                "frequency": row["frequency"],
            }
            for row in points
        ],
        "x_ticks": [[100 * (power - low) / (high - low), f"{label(10.0**power)} %"] for power in range(low, high + 1)],
        "y_ticks": [[100 - tick, label(tick)] for tick in ticks(0, 100)],
    }


def _list_protocols(instances: Mapping) -> list[dict]:
    shown = []
    for name, summary in instances["protocols"].items():
        curve = summary["curve"]
        lines = {label_: (curve["recall"], values["precision"]) for label_, values in curve["classes"].items()}
        title = f"Precision over recall at IoU {curve['iou']:g}"
        chart = line_chart(title, lines, x_label="recall", y_range=(0, 1), x_range=(0, 1), show_last=False) if lines else None
        scores = list(summary["metrics"])
        shown.append(
            {
                "name": TITLES.get(name, name),
                "scores": scores,
                # The mean over images of each one's own precision pools the classes, so a class has none.
                "rows": [
                    {"class": "all", "instances": summary["instances"], **summary["metrics"]},
                    *(dict.fromkeys(scores) | row for row in summary["per_class"]),
                ],
                "images": summary["images"],
                "chart": chart,
            }
        )
    return shown


def _list_worst(one: Evaluation, *, pictures: bool) -> list[dict]:
    if not pictures:
        return []
    return [
        {
            "title": row["title"],
            "mIoU": row["mIoU"],
            "wrong": row["wrong"],
            "pictures": [(kind, embed(one.folder / "worst" / row[kind])) for kind in ("image", "truth", "prediction", "error")],
        }
        for row in one.worst.get("images", [])
    ]


def _lay_refinement(found: Mapping, *, pictures: bool) -> dict:
    systems = found["systems"]
    measures = {
        "mIoU": [one.get("mIoU") for one in systems],
        f"boundary IoU, {found.get('boundary_radius_px')} px": [one.get("boundary_IoU") for one in systems],
        "IoU of thin classes": [one.get("thin_IoU") for one in systems],
    }
    rows = [compare_values(name, values) for name, values in measures.items()]
    for name, key in (("seconds per image", "seconds_per_image"), ("pixels changed, %", "changed_percent")):
        rows.append({"name": name, "cells": [{"value": one.get(key), "difference": "", "better": None} for one in systems]})
    for i, row in enumerate(systems[0].get("per_class", [])):
        rows.append(compare_values(f"IoU {row['class']}", [one["per_class"][i]["IoU"] for one in systems]))
    picture = found["folder"] / "refinement.png"
    return {
        "names": [one["name"] for one in systems],
        "rows": rows,
        "picture": embed_small(picture) if pictures and picture.is_file() else None,
    }


def _describe_safety(one: Evaluation, *, pictures: bool) -> dict:
    def show(image: Mapping) -> dict:
        picture = embed(one.folder / image["picture"]) if pictures else None
        return {"title": Path(image["img_path"]).name, "picture": picture, "truth": image.get("truth"), **image["safety"]}

    safety = one.safety
    return {"name": one.name, "metrics": safety["metrics"], **{side: [show(image) for image in safety[side]] for side in ("worst", "best")}}


def embed_small(path: Path, *, width_px: int = 1800) -> str:
    """Return a large picture as a ``data:`` address of a smaller photograph of it."""
    with Image.open(path) as picture:
        small = picture.convert("RGB")
    small.thumbnail((width_px, 20 * width_px))
    data = io.BytesIO()
    small.save(data, "JPEG", quality=80, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"


def embed(path: Path) -> str | None:
    """Return a picture as a ``data:`` address; ``None`` when the file is gone."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    kind = "jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
