"""From one confusion matrix to everything that is reported about it: a plain dict, and the table for a terminal."""

from __future__ import annotations

import numpy as np

from mmstreet.files import confusion_scores as S
from mmstreet.files.image_confusions import DRAWS, FEW_IMAGES, LEVEL, bootstrap, image_wise_scores, interval
from mmstreet.files.numbers import percent
from mmstreet.labels import LabelTable


def summarize(confusion: np.ndarray, names: tuple[str, ...], *, table: LabelTable | None, convention: str, scope: str) -> dict:
    """Compute every score of a split.

    Args:
        confusion: int64 ``[C + 1, C + 1]``, summed over the split; see :mod:`mmstreet.metrics.functional`.
        names: The ``C`` class names.
        table: Where the classes' groups come from; without one there is no category IoU.
        convention: ``'mmseg'`` or ``'bdd100k'``.
        scope: ``'labelled'`` leaves the background row out; ``'scene'`` keeps it.

    Returns:
        JSON-ready: ``metrics`` (name to per cent, ``None`` where nothing can be measured), ``per_class`` (one dict each), ``categories``,
        ``classes``, ``convention``, ``scope`` and ``confusion`` (nested lists).
    """
    scored = S.drop_background(confusion) if scope == "labelled" else confusion
    groups, frequencies = table.groups if table else {}, S.group_by_share(scored)
    scores = S.compute_scores(scored, names, groups=groups, frequencies=frequencies, convention=convention)
    metrics, precision = {name: percent(value) for name, value in scores.items()}, S.precision_per_class(scored)
    categories = S.iou_per_class(S.merge_classes(scored, list(groups.values())), convention=convention)
    truth, predicted = scored[:-1].sum(1), scored[:, :-1].sum(0)
    return {
        "metrics": metrics,
        "per_class": [
            {
                "class": name,
                "IoU": metrics[f"IoU/{name}"],
                "Acc": metrics[f"Acc/{name}"],
                "Precision": percent(precision[i]),
                "truth_pixels": int(truth[i]),
                "predicted_pixels": int(predicted[i]),
                "group": table.labels[i].group if table else None,
                "frequency": next((kind for kind, ids in frequencies.items() if i in ids), None),
            }
            for i, name in enumerate(names)
        ],
        "categories": {group: percent(value) for group, value in zip(groups, categories)},
        "classes": list(names),
        "convention": convention,
        "scope": scope,
        "confusion": scored.tolist(),
    }


def summarize_images(counts: np.ndarray, names: tuple[str, ...], *, table: LabelTable | None, convention: str) -> dict:
    """Compute what the images of a split say together: an interval for every score, and the scores by image.

    Args:
        counts: Scored counts by image, int ``[N, C + 1, C + 1]``.
        names: The ``C`` class names.
        table: As in :func:`summarize`.
        convention: ``'mmseg'`` or ``'bdd100k'``.

    Returns:
        JSON-ready: ``intervals`` (``level`` in per cent, ``draws``, ``images``, and ``scores``, ``[low, high]`` in per cent by name,
        ``None`` where nothing can be measured) and ``image_wise``, see :func:`~mmstreet.files.image_confusions.image_wise_scores`.
    """
    settings = dict(groups=table.groups if table else {}, frequencies=S.group_by_share(counts.sum(0)))
    drawn = bootstrap(counts, lambda sums: S.compute_scores(sums, names, convention=convention, **settings))
    scores = {name: interval(values) for name, values in drawn.items()}
    return {
        "intervals": {"level": LEVEL, "draws": DRAWS, "images": len(counts), "scores": scores},
        "image_wise": image_wise_scores(counts),
    }


def format_summary(summary: dict) -> str:
    """Lay out the result of :func:`summarize` as a table, one line per class, and say what is absent from the means.

    With the result of :func:`summarize_images` in it, the table has the intervals, and below it stand the scores by image.
    """
    intervals = summary.get("intervals")
    between = {name: f"{limits[0]:.2f}–{limits[1]:.2f}" for name, limits in intervals["scores"].items() if limits} if intervals else {}
    head = f"{intervals['level']} % interval" if intervals else ""
    width = max(len("class"), *(len(name) for name in summary["classes"]))
    total = max(1, sum(map(sum, summary["confusion"])))
    column = f"  {head:>14}" if intervals else ""
    lines = [f"{'class':<{width}}  {'IoU':>6}{column}  {'Acc':>6}  {'Prec.':>6}  {'pixels %':>8}"]
    for row in summary["per_class"]:
        column = f"  {between.get('IoU/' + row['class'], ''):>14}" if intervals else ""
        cells = "  ".join(f"{_cell(row[key]):>6}" for key in ("Acc", "Precision"))
        share = 100 * row["truth_pixels"] / total
        lines.append(f"{row['class']:<{width}}  {_cell(row['IoU']):>6}{column}  {cells}  {share:>8.2f}")
    overall = {name: value for name, value in summary["metrics"].items() if "/" not in name}
    lines += ["-" * len(lines[0]), "  ".join(f"{name} {_cell(value)}" for name, value in overall.items())]
    if "mIoU" in between:
        lines.append(f"mIoU, {head}: {between['mIoU']}, from {intervals['images']} images")
    if by_image := summary.get("image_wise"):
        lines.append("by image: " + "  ".join(f"{name} {_cell(value)}" for name, value in by_image.items()))
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
    images = summary.get("intervals", {}).get("images", FEW_IMAGES)
    if images < FEW_IMAGES:
        remarks.append(f"the intervals come from {images} images and are too narrow; {FEW_IMAGES} and more can be relied on")
    if confusion[:-1, -1].any():
        remarks.append(f"{confusion[:-1, -1].sum():,} pixels of the classes were predicted as none of them; they count as misses")
    return remarks


def _cell(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"
