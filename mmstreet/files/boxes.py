"""Boxes: of masks, overlap and non-maximum suppression."""

from __future__ import annotations

import numpy as np


def box_ious(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the IoU of one box with others.

    Args:
        box: ``x1, y1, x2, y2``, float ``[4]``, right and bottom exclusive.
        others: float ``[N, 4]``.

    Returns:
        float64 ``[N]``; 0 where both boxes are empty.
    """
    box, others = np.asarray(box, np.float64), np.asarray(others, np.float64).reshape(-1, 4)
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    shared = np.maximum(high - low, 0).prod(1)
    union = np.maximum(box[2:] - box[:2], 0).prod() + np.maximum(others[:, 2:] - others[:, :2], 0).prod(1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def box_of_mask(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return the tight box ``x1, y1, x2, y2`` of a mask, bool ``[H, W]``, right and bottom exclusive; all zero for an empty mask.

    Example:
        >>> box_of_mask(np.array([[0, 0, 0], [0, 1, 1]], bool))
        (1, 1, 3, 2)
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) if len(rows) else (0, 0, 0, 0)


def suppress_boxes(boxes_xyxy: np.ndarray, scores: np.ndarray, *, max_iou: float, groups: np.ndarray | None = None) -> np.ndarray:
    """Greedy non-maximum suppression: a box goes when a better one overlaps it by more than ``max_iou``.

    Args:
        boxes_xyxy: float ``[N, 4]``.
        scores: float ``[N]``; of equal ones the earlier counts as better.
        max_iou: Greatest IoU that two kept boxes have.
        groups: Integers ``[N]``, such as class ids; boxes of different groups do not suppress each other. ``None``: one group.

    Returns:
        Positions of the boxes kept, int64, the best first.
    """
    boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
    order, kept = np.argsort(-np.asarray(scores), kind="stable"), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        rival = box_ious(boxes[best], boxes[order]) > max_iou
        order = order[~rival] if groups is None else order[~(rival & (groups[order] == groups[best]))]
    return np.array(kept, np.int64)
