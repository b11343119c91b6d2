"""From one confusion matrix to everything that is reported about it: a plain dict, and the table for a terminal."""

from __future__ import annotations

import numpy as np

from mmstreet.files.numbers import percent
from mmstreet.labels import LabelTable
from mmstreet.metrics import functional as F


def summarize(confusion: np.ndarray, names: tuple[str, ...], *, table: LabelTable | None, convention: str, scope: str) -> dict:
    """Compute every score of a split.

    Args:
        confusion: int64 ``[C + 1, C + 1]``, summed over the split; see :mod:`mmstreet.metrics.functional`.
        names: The ``C`` class names.
        table: Where the classes' groups and frequencies come from; without one there is neither category IoU nor means by frequency.
        convention: ``'mmseg'`` or ``'bdd100k'``.
        scope: ``'labelled'`` leaves the background row out; ``'scene'`` keeps it.

    Returns:
        JSON-ready: ``metrics`` (name to per cent, ``None`` where nothing can be measured), ``per_class`` (one dict each), ``categories``,
        ``classes``, ``convention``, ``scope`` and ``confusion`` (nested lists).
    """
    scored = F.drop_background(confusion) if scope == "labelled" else confusion
    iou, acc, precision = F.iou_per_class(scored, convention=convention), F.recall_per_class(scored), F.precision_per_class(scored)
    metrics = {
        "mIoU": F.mean_present(iou),
        "aAcc": F.pixel_accuracy(scored),
        "mAcc": F.mean_present(acc),
        "fwIoU": F.frequency_weighted_iou(scored),
    }
    categories = {}
    if table is not None:
        by_group = F.iou_per_class(F.merge_classes(scored, list(table.groups.values())), convention=convention)
        categories = {group: percent(value) for group, value in zip(table.groups, by_group)}
        metrics["catIoU"] = F.mean_present(by_group)
        metrics |= {f"IoU_{kind}": F.mean_present(iou, ids) for kind, ids in table.frequencies.items() if ids}
    metrics |= {f"IoU/{name}": value for name, value in zip(names, iou)} | {f"Acc/{name}": value for name, value in zip(names, acc)}
    truth, predicted = scored[:-1].sum(1), scored[:, :-1].sum(0)
    return {
        "metrics": {name: percent(value) for name, value in metrics.items()},
        "per_class": [
            {
                "class": name,
                "IoU": percent(iou[i]),
                "Acc": percent(acc[i]),
                "Precision": percent(precision[i]),
                "truth_pixels": int(truth[i]),
                "predicted_pixels": int(predicted[i]),
                "group": table.labels[i].group if table else None,
                "frequency": table.labels[i].frequency if table else None,
            }
            for i, name in enumerate(names)
        ],
        "categories": categories,
        "classes": list(names),
        "convention": convention,
        "scope": scope,
        "confusion": scored.tolist(),
    }


def format_summary(summary: dict) -> str:
    """Lay out the result of :func:`summarize` as a table, one line per class, and say what is absent from the means."""
    width = max(len("class"), *(len(name) for name in summary["classes"]))
    total = max(1, sum(map(sum, summary["confusion"])))
    lines = [f"{'class':<{width}}  {'IoU':>6}  {'Acc':>6}  {'Prec.':>6}  {'pixels %':>8}"]
    for row in summary["per_class"]:
        cells = "  ".join(f"{_cell(row[key]):>6}" for key in ("IoU", "Acc", "Precision"))
        lines.append(f"{row['class']:<{width}}  {cells}  {100 * row['truth_pixels'] / total:>8.2f}")
    overall = {name: value for name, value in summary["metrics"].items() if "/" not in name}
    lines += ["-" * len(lines[0]), "  ".join(f"{name} {_cell(value)}" for name, value in overall.items())]
    return "\n".join([*lines, *_remarks(summary, total)])


def _remarks(summary: dict, total: int) -> list[str]:
    confusion = np.asarray(summary["confusion"])
    absent = [row["class"] for row in summary["per_class"] if row["IoU"] is None]
    remarks = []
    if absent:
        why = "neither labelled nor predicted" if summary["convention"] == "mmseg" else "not labelled"
        remarks.append(f"n/a and in no mean, because {why} in this split: {', '.join(absent)}")
    if summary["scope"] == "scene":
        target, predicted = confusion[-1].sum(), confusion[-1, :-1].sum()
        remarks.append(
            f"background: {100 * target / total:.2f} % of the pixels, {100 * predicted / max(1, target):.2f} % of it predicted as a class"
        )
    if confusion[:-1, -1].any():
        remarks.append(f"{confusion[:-1, -1].sum():,} pixels of the classes were predicted as none of them; they count as misses")
    return remarks


def _cell(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
