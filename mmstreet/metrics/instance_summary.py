"""From precision tables to everything that is reported of instance segmentation: a plain dict, and the table for a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.files.numbers import percent
from mmstreet.metrics.average_precision import PrecisionTable, accumulate, count_truth, image_average_precision

SCORES = {
    "AP": {},
    "AP50": {"threshold": 0},
    "AP75": {"threshold": 5},
    "APs": {"area": "small"},
    "APm": {"area": "medium"},
    "APl": {"area": "large"},
}
"""The scores, and what each averages; see :meth:`~mmstreet.metrics.average_precision.PrecisionTable.average`."""
PROTOCOLS = {"coco": "masks may overlap", "bitmask": "one owner per pixel, by score"}
Matches = Sequence[list]
"""One result of :func:`~mmstreet.metrics.average_precision.match_image` per image."""


def summarize_matches(images: Matches, names: Sequence[str]) -> dict:
    """Compute every score of a split under one protocol.

    Args:
        images: The matches of every image, ordered by image id.
        names: The class names.

    Returns:
        JSON-ready: ``metrics`` (name to per cent, ``None`` where nothing can be measured), ``per_class`` (one dict each), ``images``,
        ``instances`` and ``curve``, the precision and recall at IoU 0.5.
    """
    table = accumulate(images, num_classes=len(names))
    counts = [sum(count_truth(image, label) for image in images) for label in range(len(names))]
    by_image = [value for value in map(image_average_precision, images) if not math.isnan(value)]
    metrics = {score: percent(table.average(**part)) for score, part in SCORES.items()}
    metrics["mAP@0.5"] = percent(float(np.mean(by_image))) if by_image else None
    rows = [
        {"class": name, "instances": counts[label]} | {s: percent(table.average(**part, label=label)) for s, part in SCORES.items()}
        for label, name in enumerate(names)
    ]
    return {
        "metrics": metrics,
        "per_class": rows,
        "images": len(images),
        "instances": sum(counts),
        "curve": precision_recall_curve(table, names),
    }


def precision_recall_curve(table: PrecisionTable, names: Sequence[str]) -> dict:
    """Take the curves at IoU 0.5, all sizes, from a precision table.

    Returns:
        ``recall`` (101 values from 0 to 1) and ``classes``, for each class that has instances ``precision`` and ``score``, 101 values each:
        the highest precision at that recall or beyond, and the score threshold that gives it. Both are ``None`` at recalls that are not
        reached; counting those as 0, the mean of ``precision`` is the class's AP50.
    """
    curves = {}
    for label, name in enumerate(names):
        precision, score = table.precision[0, :, label, 0], table.scores[0, :, label, 0]
        if not np.isnan(precision).any():
            reached = precision > 0
            curves[name] = {
                key: [float(value) if known else None for value, known in zip(values, reached)]
                for key, values in (("precision", precision), ("score", score))
            }
    return {"iou": 0.5, "recall": np.linspace(0, 1, 101).tolist(), "classes": curves}


def flatten_scores(protocols: Mapping[str, Mapping], by: Mapping[str, Mapping]) -> dict[str, float | None]:
    """Return all scores of a report under one name each: ``coco/AP``, ``coco/AP/car``, ``coco/AP/weather=rainy``."""
    scores = {f"{protocol}/{name}": value for protocol, summary in protocols.items() for name, value in summary["metrics"].items()}
    for protocol, summary in protocols.items():
        scores |= {f"{protocol}/{score}/{row['class']}": row[score] for score in ("AP", "AP50") for row in summary["per_class"]}
    for attribute, groups in by.items():
        for value, parts in groups.items():
            for protocol, summary in parts.items():
                scores |= {f"{protocol}/{name}/{attribute}={value}": summary["metrics"][name] for name in ("AP", "AP50")}
    return scores


def list_scores(report: Mapping) -> list[list]:
    """Lay out a line per protocol, group of images and class, the header first, as ``per_class_ap.csv`` has them.

    The line with an empty ``class`` is that of all classes; ``group`` is empty for the whole split, else ``weather=rainy``.
    """
    groups = {"": report["protocols"]}
    groups |= {f"{name}={value}": parts for name, values in report["by"].items() for value, parts in values.items()}
    rows = [["protocol", "group", "class", "images", "instances", *SCORES]]
    for group, parts in groups.items():
        for protocol, summary in parts.items():
            total = {"class": "", "instances": summary["instances"], **summary["metrics"]}
            for row in (total, *summary["per_class"]):
                rows.append([protocol, group, row["class"], summary["images"], row["instances"], *(row[name] for name in SCORES)])
    return rows


def list_curves(report: Mapping) -> list[list]:
    """Lay out a line per protocol, class and recall, the header first: precision, and the score threshold that gives it."""
    rows = [["protocol", "iou", "class", "recall", "precision", "score"]]
    for protocol, summary in report["protocols"].items():
        curve = summary["curve"]
        for name, values in curve["classes"].items():
            for recall, *point in zip(curve["recall"], values["precision"], values["score"]):
                cells = (None if value is None else f"{value:.6f}" for value in point)
                rows.append([protocol, f"{curve['iou']:g}", name, f"{recall:.2f}", *cells])
    return rows


def format_report(report: Mapping) -> str:
    """Lay out both protocols side by side, one line per class and per group of images, and say what is absent.

    Args:
        report: ``protocols``, ``by`` and perhaps ``intervals``, as :attr:`mmstreet.metrics.instance.BDD100KInsMetric.report` has them.
    """
    protocols, by = report["protocols"], report["by"]
    rows = [(row["class"], [summary["per_class"][i] for summary in protocols.values()]) for i, row in enumerate(report["per_class"])]
    total = ("all classes", [{**summary["metrics"], "instances": summary["instances"]} for summary in protocols.values()])
    groups = [
        (f"{attribute}: {value}", [{**summary["metrics"], "instances": summary["instances"]} for summary in parts.values()])
        for attribute, values in by.items()
        for value, parts in values.items()
    ]
    width = max(len(name) for name, _ in [*rows, total, *groups])
    titles = "".join(f"   {f'{protocol}: {PROTOCOLS[protocol]}':<50.50}" for protocol in protocols)
    header = f"{'':<{width}}" + f"   {'number':>6}{''.join(f'{name:>7}' for name in SCORES)}  " * len(protocols)
    lines = [f"{'':<{width}}{titles}".rstrip(), header.rstrip()]
    for part in (rows, [total], groups):
        lines += ["-" * len(header.rstrip())] * (part is not rows and bool(part))
        lines += [f"{name:<{width}}" + "  ".join(_cells(row) for row in sides) for name, sides in part]
    by_image = ", ".join(f"{protocol} {_cell(summary['metrics']['mAP@0.5'])}" for protocol, summary in protocols.items())
    lines.append(f"mAP@0.5, the mean over images of each one's own AP: {by_image}")
    scores = report.get("intervals", {}).get("scores", {})
    known = {protocol: scores[f"{protocol}/AP"] for protocol in protocols if scores.get(f"{protocol}/AP")}
    if known:
        between = ", ".join(f"{protocol} {low:.2f}–{high:.2f}" for protocol, (low, high) in known.items())
        lines.append(f"AP, {report['intervals']['level']} % interval over {report['intervals']['images']} images: {between}")
    absent = [row["class"] for row in report["per_class"] if row["AP"] is None]
    if absent:
        lines.append(f"n/a and in no mean, because no instance counts in this split: {', '.join(absent)}")
    return "\n".join(lines)


def _cells(row: Mapping) -> str:
    return f"   {row['instances']:>6}" + "".join(f"{_cell(row[name]):>7}" for name in SCORES)


def _cell(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
