"""The skeletons of thin things, for the skeleton recall of a decode head."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmstreet.deps import require
from mmstreet.labels import IGNORE_INDEX
from mmstreet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class MarkSkeletons(BaseTransform):
    """Mark the centre lines of chosen classes, a few pixels wide and inside the class (Kirchhoff et al., ECCV 2024).

    Sets ``gt_edge_map``, which ``PackSegInputs`` carries and a head with ``skeleton_weight`` reads. It goes right before
    ``PackSegInputs``: what is flipped or cropped afterwards no longer fits.

    Args:
        classes: Train ids of the thin classes.
        radius_px: How far a line is widened, in pixels.

    Raises:
        ValueError: If no class is named or the radius is below 0.
        ImportError: If scikit-image is missing.
    """

    def __init__(self, *, classes: Sequence[int], radius_px: int = 2):
        if not classes or radius_px < 0:
            raise ValueError(f"MarkSkeletons expects classes and radius_px >= 0, got classes={list(classes)}, radius_px={radius_px}")
        require("skimage", extra="superpixel")
        self.classes = tuple(classes)
        self.radius_px = radius_px

    def transform(self, results: dict) -> dict:
        """Add ``gt_edge_map``, uint8 ``[H, W]``: the train id on the skeletons, 255 elsewhere."""
        results["gt_edge_map"] = mark_skeletons(results["gt_seg_map"], self.classes, radius_px=self.radius_px)
        return results

    def __repr__(self) -> str:
        return f"MarkSkeletons(classes={self.classes}, radius_px={self.radius_px})"


def mark_skeletons(labels: np.ndarray, classes: Sequence[int], *, radius_px: int = 2) -> np.ndarray:
    """Return the train id where a class lies within ``radius_px`` of its skeleton and 255 elsewhere, uint8 ``[H, W]``."""
    from skimage.morphology import disk, skeletonize

    marked = np.full(labels.shape, IGNORE_INDEX, np.uint8)
    for train_id in classes:
        inside = labels == train_id
        if inside.any():
            lines = cv2.dilate(skeletonize(inside).astype(np.uint8), disk(radius_px))
            marked[inside & (lines > 0)] = train_id
    return marked
