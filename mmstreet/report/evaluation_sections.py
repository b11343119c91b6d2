"""What a test left, as plain data for a page: classes, confusion, curves, worst images, refiners, safety."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from mmstreet.report.charts import label, line_chart, ticks
from mmstreet.report.comparison import compare_values
from mmstreet.report.precision_recall import TITLES
from mmstreet.report.run_files import Evaluation


def describe_evaluation(one: Evaluation, *, pictures: bool) -> dict:
    """Lay out scores, classes, confusion, curves and worst images of one evaluation."""
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


def describe_refinement(found: Mapping, *, pictures: bool) -> dict:
    """Lay out refiners beside their baseline: ``refinement.json`` of a test, with its folder."""
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


def describe_safety(one: Evaluation, *, pictures: bool) -> dict:
    """Lay out the road-safety score of one evaluation, with the worst and the best scenes."""

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
