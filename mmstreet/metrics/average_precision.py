"""Average precision of instance masks: matching predictions with instances, and the precision–recall table of a split.

Both steps are pycocotools' own. Its evaluator is handed the overlaps of :mod:`mmstreet.metrics.mask_overlaps`, whichever protocol they
follow, and does what it always does; only predictions that reach no instance are kept from its loops.
"""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmstreet.deps import require
from mmstreet.metrics.mask_overlaps import ImageOverlaps

AREAS = ("all", "small", "medium", "large")
"""Sizes of COCO: small has up to 32² pixels, large at least 96²."""
MAX_DETECTIONS = 100
"""Predictions of one class in one image that are looked at, the best first."""
LOWEST_IOU = 0.5
"""Least of COCO's ten thresholds 0.50, 0.55, … 0.95."""


@dataclass(frozen=True, eq=False)
class PrecisionTable:
    """Precision at COCO's 101 recalls, and the scores at which they are reached.

    Attributes:
        precision: float64 ``[10, 101, C, 4]``: threshold, recall, class, size; nan where no instance counts, 0 beyond the reached recall.
        scores: Least score of the predictions taken, of the same shape; nan where no instance counts.
    """

    precision: np.ndarray
    scores: np.ndarray

    def average(self, *, threshold: int | None = None, area: str = "all", label: int | None = None) -> float:
        """Return the mean precision, in ``[0, 1]``; nan when no instance counts.

        Args:
            threshold: Position among the ten thresholds, 0 is IoU 0.50 and 5 is IoU 0.75; ``None`` takes the mean of all.
            area: One of :data:`AREAS`.
            label: Class; ``None`` takes the mean of those that have instances.
        """
        values = self.precision[..., AREAS.index(area)]
        values = values if threshold is None else values[threshold : threshold + 1]
        values = values if label is None else values[:, :, label]
        values = values[~np.isnan(values)]
        return float(np.mean(values)) if len(values) else float("nan")


def match_image(image: ImageOverlaps, *, num_classes: int, counted: np.ndarray | None = None) -> list[dict | None]:
    """Match predictions with instances, for every class and size.

    Args:
        image: Overlaps under one protocol.
        num_classes: Number of classes ``C``.
        counted: The only instances that count, bool ``[G]``; ``None`` counts all that are not ignored.

    Returns:
        ``C * 4`` results as pycocotools has them, classes outside, sizes inside; ``None`` for a class that is neither labelled nor
        predicted. A result has ``dtScores [D]``, ``dtMatches`` and ``dtIgnore``, bool ``[10, D]``, and ``gtIgnore``, bool ``[G]``.
    """
    evaluator = require("pycocotools.cocoeval", extra="instances").COCOeval(iouType="segm")
    evaluator.ious = {}
    truth, predictions = image.truth, image.predictions
    ignored = truth.ignored if counted is None else truth.ignored | ~counted
    results = []
    for label in range(num_classes):
        columns, rows = np.flatnonzero(truth.labels == label), np.flatnonzero(predictions.labels == label)
        if not len(columns) and not len(rows):
            results += [None] * len(AREAS)
            continue
        rows = rows[np.argsort(-predictions.scores[rows], kind="stable")[:MAX_DETECTIONS]]
        # Most predictions reach no instance at any threshold; only the others have to go through pycocotools' loops.
        near = image.ious[np.ix_(rows, columns)] >= LOWEST_IOU
        tried, reached = np.flatnonzero(near.any(1)), columns[near.any(0)]
        evaluator.ious[0, label] = image.ious[np.ix_(rows[tried], reached)]
        evaluator._gts[0, label] = [
            {"id": i + 1, "area": truth.areas[i], "ignore": ignored[i], "iscrowd": image.regions and truth.ignored[i]} for i in reached
        ]
        evaluator._dts[0, label] = [{"id": i + 1, "area": image.areas[i], "score": predictions.scores[i]} for i in rows[tried]]
        for low, high in evaluator.params.areaRng:
            matches = np.zeros((len(evaluator.params.iouThrs), len(rows)), bool)
            dismissed = np.tile((image.areas[rows] < low) | (image.areas[rows] > high), (len(matches), 1))
            if len(tried):
                found = evaluator.evaluateImg(0, label, (low, high), MAX_DETECTIONS)
                matches[:, tried], dismissed[:, tried] = found["dtMatches"] > 0, found["dtIgnore"]
            outside = (truth.areas[columns] < low) | (truth.areas[columns] > high)
            scores = predictions.scores[rows]
            results.append(
                {"dtScores": scores, "dtMatches": matches, "dtIgnore": dismissed, "gtIgnore": (ignored[columns] | outside).astype(bool)}
            )
    return results


def accumulate(images: Sequence[list[dict | None]], *, num_classes: int) -> PrecisionTable:
    """Turn the matches of a split into its precision table.

    Args:
        images: One result of :func:`match_image` per image. Where scores of two images are equal, the earlier image comes first;
            pycocotools orders images by id.
        num_classes: Number of classes ``C``.
    """
    evaluator = require("pycocotools.cocoeval", extra="instances").COCOeval(iouType="segm")
    settings = evaluator.params
    settings.imgIds, settings.catIds, settings.maxDets = list(range(len(images))), list(range(num_classes)), [MAX_DETECTIONS]
    evaluator.evalImgs = [image[place] for place in range(num_classes * len(AREAS)) for image in images]
    evaluator._paramsEval = copy.deepcopy(settings)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.accumulate()
    precision, scores = (evaluator.eval[name][..., 0] for name in ("precision", "scores"))
    return PrecisionTable(np.where(precision < 0, np.nan, precision), np.where(precision < 0, np.nan, scores))


def count_truth(image: list[dict | None], label: int) -> int:
    """Count the instances of a class in one image that count, from the result of :func:`match_image`."""
    result = image[label * len(AREAS)]
    return int(np.count_nonzero(~result["gtIgnore"])) if result else 0


def image_average_precision(image: list[dict | None]) -> float:
    """Average precision at IoU 0.5 of one image, all classes in one ranking: the area under the envelope of its own curve.

    The mean of this over images is the "mAP @ IoU=0.5" that Matterport's Mask R-CNN notebooks print.

    Args:
        image: Result of :func:`match_image`.

    Returns:
        A number in ``[0, 1]``; nan when no instance of the image counts.
    """
    found = [result for result in image[:: len(AREAS)] if result]
    total = sum(np.count_nonzero(~result["gtIgnore"]) for result in found)
    if not total:
        return float("nan")
    kept = np.concatenate([~result["dtIgnore"][0] for result in found])
    scores, hits = (np.concatenate(parts)[kept] for parts in ([r["dtScores"] for r in found], [r["dtMatches"][0] for r in found]))
    hits = hits[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / total)
