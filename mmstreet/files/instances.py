"""Objects that are found one by one: masks, boxes, classes and scores of one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmstreet.files.boxes import box_of_mask
from mmstreet.files.label_ids import IGNORE_INDEX


@dataclass(frozen=True, eq=False)
class Instances:
    """Objects of one image.

    Attributes:
        masks: bool ``[N, H, W]``.
        boxes_xyxy: float32 ``[N, 4]`` in pixels, right and bottom exclusive.
        class_ids: int64 ``[N]``.
        scores: float32 ``[N]`` in ``[0, 1]``; predictions come with the highest score first.

    Example:
        >>> objects = Instances.from_masks(np.ones((1, 2, 3), bool), [7])
        >>> objects.boxes_xyxy.tolist(), objects.class_ids.tolist(), objects.scores.tolist()
        ([[0.0, 0.0, 3.0, 2.0]], [7], [1.0])
    """

    masks: np.ndarray
    boxes_xyxy: np.ndarray
    class_ids: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def from_masks(cls, masks: np.ndarray, class_ids: Sequence[int], scores: Sequence[float] | None = None) -> Instances:
        """Take the boxes from the masks; without scores all are certain."""
        masks = np.asarray(masks)
        boxes = np.array([box_of_mask(mask) for mask in masks], np.float32).reshape(-1, 4)
        scores = np.ones(len(masks)) if scores is None else scores
        return cls(masks, boxes, np.asarray(class_ids, np.int64), np.asarray(scores, np.float32))

    def select(self, chosen: np.ndarray) -> Instances:
        """Return some of them, by indices or by a bool array ``[N]``."""
        return Instances(self.masks[chosen], self.boxes_xyxy[chosen], self.class_ids[chosen], self.scores[chosen])

    def to_labels(self, size_hw: tuple[int, int]) -> np.ndarray:
        """Return the class of the first object at every pixel, uint8 ``[H, W]``; 255 where there is none."""
        labels = np.full(size_hw, IGNORE_INDEX, np.uint8)
        for mask, class_id in zip(self.masks[::-1], self.class_ids[::-1]):
            labels[mask] = class_id
        return labels
