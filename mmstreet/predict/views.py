"""Several looks at one image, at other sizes and mirrored, and one answer from all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmstreet.files.boxes import suppress_boxes
from mmstreet.files.instances import Instances

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
    kept = suppress_boxes(everything.boxes_xyxy, everything.scores, max_iou=_SAME_OBJECT_IOU, groups=everything.class_ids)
    return everything.select(kept[:limit])
