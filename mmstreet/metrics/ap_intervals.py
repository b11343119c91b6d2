"""How sure an average precision is: the bootstrap over images, on matches sorted once and weighted by how often an image is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.files.ap_draws import ApDraws
from mmstreet.files.image_confusions import DRAWS, draw_times
from mmstreet.metrics.average_precision import AREAS, count_truth, image_average_precision

RECALLS = np.linspace(0, 1, 101)
_AP50, _AP75 = 0, 5
_MAX_ENTRIES = 1 << 22


def bootstrap_ap(images: Sequence[list[dict | None]], names: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Score resampled test sets.

    A prediction counts as often as its image is drawn. That gives what pycocotools gives on the list of drawn images, but for predictions
    of one class, image and score, which it takes in turn and this one after the other.

    Args:
        images: One result of :func:`~mmstreet.metrics.average_precision.match_image` per image, ordered by image id.
        names: The class names.
        draws: How many sets.
        seed: Of the draws.

    Returns:
        ``[draws]`` by the name of the score, nan where no instance counts: ``AP``, ``AP50``, ``AP75``, ``mAP@0.5``, and ``AP/<class>`` and
        ``AP50/<class>``.
    """
    times = np.concatenate(list(draw_times(len(images), draws=draws, seed=seed)))  # [draws, N]
    precision = np.stack([_class_precision(images, label, times) for label in range(len(names))], -1)  # [draws, 10, C]
    scores = {"AP": _mean(precision, (1, 2)), "AP50": _mean(precision[:, _AP50], 1), "AP75": _mean(precision[:, _AP75], 1)}
    by_image = np.array([image_average_precision(image) for image in images])
    known = ~np.isnan(by_image)
    scores["mAP@0.5"] = _ratio(times[:, known] @ by_image[known], times[:, known].sum(1))
    scores |= {f"AP/{name}": _mean(precision[..., i], 1) for i, name in enumerate(names)}
    return scores | {f"AP50/{name}": precision[:, _AP50, i] for i, name in enumerate(names)}


def draw_protocols(ids: Sequence[object], matches: Mapping[str, Sequence[list[dict | None]]], names: Sequence[str]) -> ApDraws:
    """Score resampled test sets by each protocol: ``coco/AP``, ``coco/AP/car`` and so on, see :func:`bootstrap_ap`.

    Args:
        ids: Of the images.
        matches: By protocol, those of every image, in the order of ``ids``.
        names: The class names.
    """
    found = {f"{protocol}/{name}": values for protocol, images in matches.items() for name, values in bootstrap_ap(images, names).items()}
    first = next(iter(matches.values()))
    truth = np.array([[count_truth(image, label) for label in range(len(names))] for image in first], np.int64)
    return ApDraws([str(image) for image in ids], truth, list(found), np.stack(list(found.values())))


def _class_precision(images: Sequence[list[dict | None]], label: int, times: np.ndarray) -> np.ndarray:
    """Average precision of one class, all sizes, in every draw at each of COCO's thresholds, ``[draws, 10]``."""
    place = label * len(AREAS)
    found = [(i, image[place]) for i, image in enumerate(images) if image[place] is not None and len(image[place]["dtScores"])]
    truth = times @ np.array([count_truth(image, label) for image in images], np.float64)
    if not found:
        return np.where(truth > 0, 0.0, np.nan)[:, None].repeat(10, 1)
    order = np.argsort(-np.concatenate([part["dtScores"] for _, part in found]), kind="stable")
    owner = np.concatenate([np.full(len(part["dtScores"]), i) for i, part in found])[order]
    hits, dismissed = (np.concatenate([part[key] for _, part in found], 1)[:, order] for key in ("dtMatches", "dtIgnore"))
    step, parts = max(1, _MAX_ENTRIES // len(owner)), []
    for start in range(0, len(times), step):
        drawn, whole = times[start : start + step][:, owner].astype(np.float32), truth[start : start + step]
        parts.append(np.stack([_area(drawn, hit & ~out, ~out, whole) for hit, out in zip(hits, dismissed)], 1))
    return np.concatenate(parts)


def _area(drawn: np.ndarray, hits: np.ndarray, counted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Mean over COCO's recalls of the highest precision there or beyond, for each draw.

    Args:
        drawn: How often each prediction is drawn, best score first, ``[draws, D]``.
        hits: Which of them meet an instance, bool ``[D]``.
        counted: Which of them count, bool ``[D]``.
        truth: Number of instances in each draw.
    """
    places = np.flatnonzero(hits)
    if not len(places):
        return np.where(truth > 0, 0.0, np.nan)
    # Only a hit moves the recall, so precision is looked at there; what lies between two hits is added up first.
    upto = places[-1] + 1
    between = np.add.reduceat(drawn[:, :upto] * counted[:upto], np.concatenate([[0], places[:-1] + 1]), axis=1)
    seen = np.cumsum(between, 1, dtype=np.float64)
    right = np.cumsum(drawn[:, places], 1, dtype=np.float64)
    precision = np.divide(right, seen, out=np.zeros_like(right), where=seen > 0)
    envelope = np.maximum.accumulate(precision[:, ::-1], 1)[:, ::-1]
    drawn_truth = np.where(truth > 0, truth, np.nan)
    recall = right / drawn_truth[:, None]
    reached = np.empty((len(drawn), len(RECALLS)), np.intp)
    for i, of_draw in enumerate(recall):
        reached[i] = of_draw.searchsorted(RECALLS)
    beyond = np.zeros((len(drawn), 1))
    scores = np.take_along_axis(np.hstack([envelope, beyond]), reached, 1).sum(1) / len(RECALLS)
    return np.where(truth > 0, scores, np.nan)


def _mean(values: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis), known.sum(axis))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
