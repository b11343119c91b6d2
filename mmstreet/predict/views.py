"""Several looks at one image, at other sizes and mirrored, and one answer from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmstreet.predict.result import Instances

_SAME_OBJECT_IOU = 0.5


@dataclass(frozen=True)
class View:
    """How the image is shown: ``scale`` times the model's usual size, and mirrored or not."""

    scale: float = 1.0
    mirrored: bool = False

    def show(self, image: np.ndarray) -> np.ndarray:
        """Return the image ``[H, W, 3]`` as it looks in this view; the scale is left to the model."""
        return np.ascontiguousarray(image[:, ::-1]) if self.mirrored else image

    def undo_scores(self, scores: np.ndarray) -> np.ndarray:
        """Bring scores ``[C, H, W]`` of this view back to the image."""
        return scores[:, :, ::-1] if self.mirrored else scores

    def undo_instances(self, found: Instances, width: int) -> Instances:
        """Bring objects of this view back to the image, which is ``width`` pixels wide."""
        if not self.mirrored:
            return found
        left, top, right, bottom = found.boxes_xyxy.T
        boxes = np.stack([width - right, top, width - left, bottom], axis=1)
        return Instances(found.masks[:, :, ::-1], boxes, found.class_ids, found.scores)


def make_views(*, flip: bool, scales: Sequence[float]) -> list[View]:
    """List the views: every scale, and its mirror image too where ``flip`` says so.

    Raises:
        ValueError: If there is no scale or one is not positive.
    """
    if not scales or min(scales) <= 0:
        raise ValueError(f"scales must be one positive number or more, got {list(scales)}")
    return [View(float(scale), mirrored) for scale in scales for mirrored in ((False, True) if flip else (False,))]


def mean_scores(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Average the probabilities of several views, float32 ``[C, H, W]`` each."""
    total = scores[0].astype(np.float32, copy=True)
    for more in scores[1:]:
        total += more
    return total / np.float32(len(scores))


def unite_instances(views: Sequence[Instances], *, limit: int) -> Instances:
    """Take the objects of all views, and of those that several views saw the most certain look.

    Two objects of one class are the same when their boxes have an IoU above 0.5, the rule of non-maximum suppression.

    Args:
        views: Objects of each view, in coordinates of the image.
        limit: At most so many are kept.
    """
    everything = Instances(
        *(np.concatenate([getattr(view, name) for view in views]) for name in ("masks", "boxes_xyxy", "class_ids", "scores"))
    )
    kept: list[int] = []
    for i in np.argsort(-everything.scores, kind="stable"):
        rivals = [j for j in kept if everything.class_ids[j] == everything.class_ids[i]]
        if not rivals or box_ious(everything.boxes_xyxy[i], everything.boxes_xyxy[rivals]).max() <= _SAME_OBJECT_IOU:
            kept.append(int(i))
        if len(kept) == limit:
            break
    return everything.select(np.array(kept, np.int64))


def box_ious(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the IoU of one box ``[4]`` with others ``[N, 4]``; 0 where a box is empty."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    total = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - common
    return np.where(total > 0, common / np.maximum(total, 1e-9), 0.0)
