"""Which confusions are dangerous: IoU that counts them by how far apart the classes are, their cost, and objects found or missed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mmstreet.files.confusion_scores import iou_per_class, mean_present

SIZES = {"small": 10, "medium": 32**2, "large": 96**2}
"""Least pixels of an object of each size; smaller ones are not counted. COCO's sizes, from ten pixels on."""
FOUND_SHARE, FALSE_SHARE = 0.5, 0.1
COUNTS = ("found", "missed", "confirmed", "false_alarms")
"""What :func:`count_objects` counts: objects of the truth, and objects of the prediction."""


def group_distances(groups: Sequence[str]) -> np.ndarray:
    """Return the distance of classes in a tree of two levels, groups and classes, by the number of levels.

    Args:
        groups: The group of each of the ``C`` classes.

    Returns:
        float64 ``[C, C]``: 0 for the class itself, 1/2 within its group, 1 elsewhere.
    """
    same = np.array(groups)[:, None] == np.array(groups)
    return np.where(same, 0.5, 1.0) * (1 - np.eye(len(groups)))


def safe_iou_per_class(confusion: np.ndarray, distances: np.ndarray, important: Sequence[int], *, convention: str = "mmseg") -> np.ndarray:
    """IoU less a penalty for dangerous confusions (IDD-AW: Shaik et al., WACV 2024).

    From the hits of an important class, all its pixels predicted as another class are taken off, times the distance of the two classes;
    from those of any other class, its pixels predicted as an important one. The rest is divided by the union, as for IoU. Their mean is
    Safe mIoU. Pixels predicted as no class are as far as can be, 1. IDD-AW has a tree of three levels over IDD's classes; the tree here is
    the caller's, so values compare under one tree only.

    Args:
        confusion: Counts ``[C + 1, C + 1]``, rows truth; see :mod:`mmstreet.files.confusion_scores`.
        distances: Of class to class, in ``[0, 1]``, ``[C, C]``; see :func:`group_distances`.
        important: Ids of the important classes.
        convention: Which classes are absent; see :func:`~mmstreet.files.confusion_scores.iou_per_class`.

    Returns:
        float64 ``[C]`` in ``[-1, 1]``, nan for absent classes.

    Raises:
        ValueError: If the distances are not in ``[0, 1]``, or not 0 from a class to itself.
    """
    count = len(confusion) - 1
    distances = np.asarray(distances, np.float64)
    if distances.shape != (count, count) or not ((distances >= 0) & (distances <= 1)).all() or np.diag(distances).any():
        raise ValueError(f"distances must be {count} x {count} numbers from 0 to 1, 0 on the diagonal")
    matters = np.zeros(count, bool)
    matters[list(important)] = True
    weights = np.where(matters[:, None] | matters, distances, 0)
    penalty = (confusion[:-1, :-1] * weights).sum(1) + confusion[:-1, -1] * matters
    hits = np.diag(confusion)[:-1]
    union = confusion[:-1].sum(1) + confusion[:, :-1].sum(0) - hits
    iou = iou_per_class(confusion, convention=convention)
    return np.where(np.isnan(iou), np.nan, iou - penalty / np.maximum(union, 1))


def safe_mean_iou(confusion: np.ndarray, distances: np.ndarray, important: Sequence[int], *, convention: str = "mmseg") -> float:
    """Mean of :func:`safe_iou_per_class` over the classes present; the mIoU where no important class is confused."""
    return float(mean_present(safe_iou_per_class(confusion, distances, important, convention=convention)))


def mean_cost(confusion: np.ndarray, costs: np.ndarray) -> float:
    """Return the mean over labelled pixels of the cost of what each is predicted as; nan without pixels.

    Args:
        confusion: Counts ``[C + 1, C + 1]``; the background row and the column of no class are left out.
        costs: Of truth and prediction, ``[C, C]``.
    """
    pixels = confusion[:-1, :-1]
    return float((pixels * costs).sum() / pixels.sum()) if pixels.any() else float("nan")


def count_objects(labels: np.ndarray, preds: np.ndarray, classes: Sequence[int], *, ignore_index: int = 255) -> np.ndarray:
    """Count objects that are found, missed and made up.

    An object is a connected component (corners connect) of one class, of the least size or more. It is found if half of its pixels
    are predicted as its class. A predicted one is a false alarm if the truth has its class under less than a tenth of it, else it is
    confirmed. Predictions on ignored pixels are no objects.

    Args:
        labels: True class ids, integers ``[H, W]``.
        preds: Predicted class ids ``[H, W]``.
        classes: Ids of the classes to look at.
        ignore_index: Label of pixels that are not counted.

    Returns:
        int64 ``[len(classes), len(SIZES), 4]``, the last axis as in :data:`COUNTS`.
    """
    valid = labels != ignore_index
    counts = np.zeros((len(classes), len(SIZES), len(COUNTS)), np.int64)
    for row, label in zip(counts, classes):
        truth, found = labels == label, (preds == label) & valid
        for first, (mask, other, least) in ((0, (truth, found, FOUND_SHARE)), (2, (found, truth, FALSE_SHARE))):
            if not mask.any():
                continue
            number, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
            areas = np.bincount(parts.ravel(), minlength=number)[1:]
            covered = np.bincount(parts[other], minlength=number)[1:]
            size = np.searchsorted(list(SIZES.values()), areas, side="right") - 1
            good = covered >= least * areas
            for column, chosen in ((first, good), (first + 1, ~good)):
                row[:, column] += np.bincount(size[chosen & (size >= 0)], minlength=len(SIZES))
    return counts
