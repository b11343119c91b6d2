"""Overlaps of predicted and labelled instance masks by two protocols that differ in what a pixel may belong to.

**COCO**: masks may overlap. An ignored instance is a region: any number of predictions may lie in it, and none of them counts.

**Bitmask**, BDD100K's: each pixel belongs to one instance, among the predictions to the one with the highest score and among the labels
to the later one, as in a bitmask. An instance that owns no pixel is gone. Ignored instances and crowds are found like any other, and
neither they nor the prediction that found one count. (The toolkit ``bdd100k`` 1.0.1 counts a crowd that is not also ignored.)

Published numbers of one model differ by 3 to 5 points between the protocols, so a number needs its protocol's name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mmstreet.deps import require
from mmstreet.files.rle import counts_from_runs, runs_from_mask


@dataclass(frozen=True, eq=False)
class Truth:
    """The labelled instances of one image.

    Attributes:
        labels: Class of each instance, int64 ``[G]``.
        masks: COCO run-length masks with ``size`` and compressed ``counts``.
        areas: Size by which an instance is small, medium or large, float64 ``[G]``, pixels.
        ignored: Instances that do not count, bool ``[G]``.
        flags: Further properties of the instances by name, bool ``[G]`` each.
    """

    labels: np.ndarray
    masks: Sequence[dict]
    areas: np.ndarray
    ignored: np.ndarray
    flags: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predicted instances of one image: classes int64 ``[D]``, scores float64 ``[D]``, masks as in :class:`Truth`."""

    labels: np.ndarray
    scores: np.ndarray
    masks: Sequence[dict]


@dataclass(frozen=True, eq=False)
class ImageOverlaps:
    """What matching has to know of one image under one protocol.

    Attributes:
        truth: The instances; those that own no pixel are left out.
        predictions: The predictions; likewise.
        areas: Pixels of each prediction, float64 ``[D]``.
        ious: Overlap of predictions and instances of the same class, float64 ``[D, G]``; 0 between classes.
        regions: Whether an ignored instance may be found by more than one prediction.
    """

    truth: Truth
    predictions: Predictions
    areas: np.ndarray
    ious: np.ndarray
    regions: bool


def coco_overlaps(truth: Truth, predictions: Predictions) -> ImageOverlaps:
    """Measure overlaps under the COCO protocol; within an ignored region the overlap is the share of the prediction inside."""
    coding = require("pycocotools.mask", extra="instances")
    areas = np.array([coding.area(mask) for mask in predictions.masks], np.float64)
    ious = np.zeros((len(predictions.labels), len(truth.labels)))
    for label in np.intersect1d(truth.labels, predictions.labels):
        rows, columns = np.flatnonzero(predictions.labels == label), np.flatnonzero(truth.labels == label)
        regions = truth.ignored[columns].astype(np.uint8).tolist()
        ious[np.ix_(rows, columns)] = coding.iou([predictions.masks[i] for i in rows], [truth.masks[i] for i in columns], regions)
    return ImageOverlaps(truth, predictions, areas, ious, regions=True)


def bitmask_overlaps(truth: Truth, predictions: Predictions) -> ImageOverlaps:
    """Give each pixel to one instance and to one prediction, and measure the overlaps of what they own.

    Args:
        truth: Instances in the order of the file; the later one wins a pixel. Its areas are counted again.
        predictions: The highest score wins a pixel, among equal scores the first.
    """
    coding = require("pycocotools.mask", extra="instances")
    # What a mask owns is the mask without its occluded part, so counts of whole masks and of occluded parts are
    # enough and no bitmap is needed.
    occluded = occluded_parts(predictions.masks, np.argsort(-predictions.scores, kind="stable"))
    true_occluded = occluded_parts(truth.masks, range(len(truth.masks))[::-1])
    areas, true_areas = (
        np.array([int(coding.area(whole)) - int(coding.area(part)) for whole, part in zip(wholes, parts)], np.int64)
        for wholes, parts in ((predictions.masks, occluded), (truth.masks, true_occluded))
    )
    shared = _count_shared(predictions.masks, truth.masks) - _count_shared(occluded, truth.masks)
    shared += _count_shared(occluded, true_occluded) - _count_shared(predictions.masks, true_occluded)
    rows, columns = np.flatnonzero(areas), np.flatnonzero(true_areas)
    areas, true_areas, shared = areas[rows], true_areas[columns], shared[np.ix_(rows, columns)]
    targets = Truth(
        truth.labels[columns],
        [truth.masks[i] for i in columns],
        true_areas.astype(np.float64),
        truth.ignored[columns],
        {name: flag[columns] for name, flag in truth.flags.items()},
    )
    kept = Predictions(predictions.labels[rows], predictions.scores[rows], [predictions.masks[i] for i in rows])
    same_class = kept.labels[:, None] == targets.labels
    ious = np.where(same_class, shared / (areas[:, None] + true_areas - shared), 0.0)
    return ImageOverlaps(targets, kept, areas.astype(np.float64), ious, regions=False)


def occluded_parts(masks: Sequence[dict], ranking: Sequence[int]) -> list[dict]:
    """Return the part of each mask that masks before it in the ranking cover.

    Args:
        masks: COCO run-length masks of one image.
        ranking: Positions of all masks, the one that wins every pixel first.
    """
    coding = require("pycocotools.mask", extra="instances")
    if not len(masks):
        return []
    occluded: list[dict] = [{}] * len(masks)
    taken = coding.encode(np.zeros(masks[0]["size"], np.uint8, order="F"))
    for position in ranking:
        occluded[position] = coding.merge([masks[position], taken], intersect=True)
        taken = coding.merge([taken, masks[position]])
    return occluded


def encode_masks(masks: np.ndarray) -> list[dict]:
    """Encode masks, bool ``[N, H, W]``, as COCO run lengths.

    pycocotools looks at every pixel of the image, in columns; here only the part around the object is turned and searched for runs.
    """
    coding = require("pycocotools.mask", extra="instances")
    size_hw, encoded = masks.shape[1:], []
    for mask in masks:
        rows = np.flatnonzero(mask.any(1))
        rows = slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 0)
        columns = np.flatnonzero(mask[rows].any(0))
        columns = slice(columns[0], columns[-1] + 1) if len(columns) else slice(0, 0)
        runs = runs_from_mask(mask[rows, columns], origin_xy=(columns.start, rows.start), size_hw=size_hw)
        encoded.append(coding.frPyObjects({"size": list(size_hw), "counts": counts_from_runs(runs, size_hw).tolist()}, *size_hw))
    return encoded


def _count_shared(first: Sequence[dict], second: Sequence[dict]) -> np.ndarray:
    """Pixels that two masks have in common, int64 ``[len(first), len(second)]``."""
    if not len(first) or not len(second):
        return np.zeros((len(first), len(second)), np.int64)
    coding = require("pycocotools.mask", extra="instances")
    # For a region, pycocotools gives the share of the first mask that lies in the second.
    shares = coding.iou(list(first), list(second), [1] * len(second))
    return np.rint(shares * coding.area(list(first)).astype(np.float64)[:, None]).astype(np.int64)
