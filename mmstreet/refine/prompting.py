"""Questions to a promptable source about regions of a label map, and the gates that judge its answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from mmstreet.labels import IGNORE_INDEX
from mmstreet.refine.components import EIGHT, Component, cut, depth, grow_box, grow_window, inner_point
from mmstreet.refine.proposals import Masks, Prompts
from mmstreet.refine.record import ACCEPTED, RegionReport

_MAX_LOGIT = 20.0


def make_prompts(
    components: Sequence[Component],
    labels: np.ndarray,
    *,
    expand: float = 0.05,
    negatives: int = 0,
    probs: np.ndarray | None = None,
    class_ids: Sequence[int] | None = None,
) -> Prompts:
    """Turn regions into prompts: a box, a point inside, and on request points outside and the log odds of the class.

    Args:
        components: Regions, not empty.
        labels: The map that they come from, uint8 ``[H, W]``.
        expand: Share of its width and height by which the box grows on each side.
        negatives: Number of points in the deepest regions of other classes within the box; where there are fewer, padding.
        probs: float32 ``[K, H, W]``, to make mask prompts; ``None`` makes none.
        class_ids: The ``K`` class ids of ``probs``.
    """
    boxes, points, kinds, logits, logit_boxes = [], [], [], [], []
    for component in components:
        boxes.append(grow_box(component.box_xyxy, labels.shape, by=expand))
        window = grow_window(component.box_xyxy, labels.shape, by=expand)
        x, y = inner_point(component.crop)
        outside = _deepest_others(labels[window], component.class_id, negatives)
        points.append(
            [
                (x + component.box_xyxy[0], y + component.box_xyxy[1]),
                *((a + window[1].start, b + window[0].start) for a, b in outside),
                *[(0, 0)] * (negatives - len(outside)),
            ]
        )
        kinds.append([1] + [0] * len(outside) + [-1] * (negatives - len(outside)))
        if probs is not None:
            p = probs[list(class_ids).index(component.class_id)][window].astype(np.float64)
            with np.errstate(divide="ignore"):
                logits.append(np.clip(np.log(p) - np.log1p(-np.minimum(p, 1)), -_MAX_LOGIT, _MAX_LOGIT).astype(np.float32))
            logit_boxes.append((window[1].start, window[0].start, window[1].stop, window[0].stop))
    return Prompts(
        boxes_xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        points_xy=np.array(points, np.float32).reshape(-1, 1 + negatives, 2),
        point_labels=np.array(kinds, np.int64).reshape(-1, 1 + negatives),
        mask_logits=None if probs is None else logits,
        mask_boxes_xyxy=None if probs is None else np.array(logit_boxes, np.int64).reshape(-1, 4),
        regions=Masks(
            np.array([component.box_xyxy for component in components], np.int64).reshape(-1, 4),
            [component.crop for component in components],
            np.ones(len(components), np.float32),
            labels.shape,
        ),
    )


def _deepest_others(labels: np.ndarray, class_id: int, count: int) -> list[tuple[int, int]]:
    """Deepest points ``(x, y)`` of the ``count`` deepest regions of other classes."""
    others = (labels != class_id) & (labels != IGNORE_INDEX)
    if not count or not others.any():
        return []
    numbered, found = ndimage.label(others, structure=EIGHT)
    depths = depth(others)
    places = ndimage.maximum_position(depths, numbered, range(1, found + 1))
    places.sort(key=lambda place: (-depths[place], place))
    return [(int(x), int(y)) for y, x in places[:count]]


def judge_masks(
    components: Sequence[Component],
    masks: Masks,
    *,
    min_score: float = 0.7,
    min_iou: float = 0.5,
    area_ratio: tuple[float, float] = (0.5, 2.0),
) -> list[RegionReport]:
    """Decide which answers are about the region that was asked for.

    Args:
        components: The regions, none empty.
        masks: One answer per region, in their order.
        min_score: Least score of the source.
        min_iou: Least IoU of answer and region.
        area_ratio: Least and greatest area of the answer as a multiple of the region's.

    Returns:
        One report per region.

    Raises:
        ValueError: If there is not one mask per region.
    """
    if len(masks) != len(components):
        raise ValueError(f"the mask source gave {len(masks)} masks for {len(components)} prompts; it must give one each, in their order")
    reports = []
    for component, crop, box, score, area in zip(
        components, masks.crops, masks.boxes_xyxy.tolist(), masks.scores.tolist(), masks.areas.tolist()
    ):
        own = component.area_px
        shared = np.count_nonzero(cut(crop, box, component.window) & component.crop)
        iou = shared / (area + own - shared)
        ratio = area / own
        if not score >= min_score:
            verdict = f"refused, score: {score:.2f}, {min_score:.2f} needed"
        elif not iou >= min_iou:
            verdict = f"refused, another region: IoU {iou:.2f}, {min_iou:.2f} needed"
        elif not area_ratio[0] <= ratio <= area_ratio[1]:
            verdict = f"refused, size: {ratio:.2f} of the region's area"
        else:
            verdict = ACCEPTED
        reports.append(RegionReport(component.box_xyxy, component.class_id, own, score, verdict))
    return reports
