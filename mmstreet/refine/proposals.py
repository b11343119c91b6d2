"""What mask sources and refiners say to each other: masks as boxes with cut-outs, prompts, and three small protocols.

A mask is stored as its box and the part of it inside the box, so that voting and fusing cost what the mask is large, not what the image is
large. Boxes here are whole pixels, ``x1, y1, x2, y2`` with ``x2`` and ``y2`` outside, as slices have it: the cut-out of box ``b`` is
``image[b[1]:b[3], b[0]:b[2]]``. Coordinates of prompts are in the image's own pixels, pixel ``(row, column)`` lying at ``x = column``,
``y = row``; a source converts them to the frame of its model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from mmstreet.files.boxes import box_of_mask


@dataclass(frozen=True, eq=False)
class Masks:
    """``N`` masks of one image; outside its box a mask is empty.

    Attributes:
        boxes_xyxy: int64 ``[N, 4]`` within the image; a box need not be tight, and that of an empty mask may have no pixel.
        crops: One bool ``[y2 - y1, x2 - x1]`` per mask.
        scores: float32 ``[N]`` in ``[0, 1]``: how good the source thinks each mask is (SAM's predicted IoU), 1 where it cannot say.
        size_hw: Height and width of the image.
        logits: ``None``, or one float array per mask, of its crop's shape, positive where the mask is set. Fusion takes them as confidence,
            and wants them on the whole box of a prompt, not only where the mask is set.

    Raises:
        ValueError: If lengths, shapes or boxes do not fit together.

    Example:
        >>> full = np.zeros((1, 4, 6), bool)
        >>> full[0, 1:3, 2] = True
        >>> masks = Masks.from_full(full)
        >>> masks.boxes_xyxy.tolist(), masks.crops[0].shape, masks.areas.tolist()
        ([[2, 1, 3, 3]], (2, 1), [2])
    """

    boxes_xyxy: np.ndarray
    crops: Sequence[np.ndarray]
    scores: np.ndarray
    size_hw: tuple[int, int]
    logits: Sequence[np.ndarray] | None = None

    def __post_init__(self) -> None:
        boxes = np.asarray(self.boxes_xyxy, np.int64).reshape(-1, 4)
        scores = np.asarray(self.scores, np.float32).reshape(-1)
        lengths = {"boxes_xyxy": len(boxes), "crops": len(self.crops), "scores": len(scores)}
        if self.logits is not None:
            lengths["logits"] = len(self.logits)
        if len(set(lengths.values())) > 1:
            raise ValueError(f"every mask needs one entry in each list, got {lengths}")
        height, width = self.size_hw
        for i, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
            if not (0 <= x1 <= x2 <= width and 0 <= y1 <= y2 <= height):
                raise ValueError(f"box {i}, {[x1, y1, x2, y2]}, is not within the image of {width}x{height} pixels; clip it")
            parts = [self.crops[i]] if self.logits is None else [self.crops[i], self.logits[i]]
            if any(part.shape != (y2 - y1, x2 - x1) for part in parts) or parts[0].dtype != bool:
                found = ", ".join(f"{part.dtype} {part.shape}" for part in parts)
                raise ValueError(f"crop and logits of mask {i} must be bool and float {(y2 - y1, x2 - x1)}, as its box says, got {found}")
        object.__setattr__(self, "boxes_xyxy", boxes)
        object.__setattr__(self, "scores", scores)

    def __len__(self) -> int:
        return len(self.crops)

    @property
    def areas(self) -> np.ndarray:
        """Number of pixels of each mask, int64 ``[N]``."""
        return np.array([np.count_nonzero(crop) for crop in self.crops], np.int64)

    @property
    def windows(self) -> list[tuple[slice, slice]]:
        """Rows and columns of each box, to cut any ``[H, W]`` array of the image with."""
        return [box_window(box) for box in self.boxes_xyxy]

    def select(self, indices: Sequence[int]) -> Masks:
        """Return some of the masks, in the order of ``indices``."""
        logits = None if self.logits is None else [self.logits[i] for i in indices]
        picked = np.array(indices, np.int64)
        return Masks(self.boxes_xyxy[picked], [self.crops[i] for i in indices], self.scores[picked], self.size_hw, logits)

    @classmethod
    def from_full(cls, masks: np.ndarray, *, scores: np.ndarray | None = None) -> Masks:
        """Cut masks of the size of the image, bool ``[N, H, W]``, to their tight boxes."""
        boxes = [box_of_mask(mask) for mask in masks]
        crops = [mask[box_window(box)].copy() for mask, box in zip(masks, boxes)]
        scores = np.ones(len(masks), np.float32) if scores is None else scores
        return cls(np.array(boxes, np.int64).reshape(-1, 4), crops, scores, tuple(masks.shape[1:]))


@dataclass(frozen=True, eq=False)
class Prompts:
    """``N`` questions to a promptable source, one object each.

    Attributes:
        boxes_xyxy: float32 ``[N, 4]``, clipped to the image; ``None`` asks with points alone.
        points_xy: float32 ``[N, P, 2]``; ``P`` may be 0.
        point_labels: int64 ``[N, P]``: 1 inside the object, 0 outside it, -1 padding.
        mask_logits: ``None``, or one float32 ``[h, w]`` per prompt: log odds of the object, within ±20, on the whole-pixel box
            ``mask_boxes_xyxy``. Outside they are -20.
        mask_boxes_xyxy: int64 ``[N, 4]``, with ``mask_logits``.
        regions: The region of the map that each prompt is about, for sources that give several answers to choose from.
    """

    boxes_xyxy: np.ndarray | None
    points_xy: np.ndarray
    point_labels: np.ndarray
    mask_logits: Sequence[np.ndarray] | None = None
    mask_boxes_xyxy: np.ndarray | None = None
    regions: Masks | None = None

    def __len__(self) -> int:
        return len(self.points_xy)


@dataclass(frozen=True, eq=False)
class Detections:
    """``N`` boxes that a detector found: float32 ``[N, 4]`` in the image, int64 class ids ``[N]``, float32 scores ``[N]`` in ``[0, 1]``."""

    boxes_xyxy: np.ndarray
    class_ids: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.boxes_xyxy)


@runtime_checkable
class MaskProposer(Protocol):
    """A source that finds masks by itself: superpixels, or SAM on a grid of points."""

    def propose(self, image: np.ndarray) -> Masks:
        """Return masks of an image, RGB uint8 ``[H, W, 3]``, in any order; they may overlap and leave pixels uncovered."""


@runtime_checkable
class MaskPredictor(Protocol):
    """A source that answers prompts: the SAM family."""

    def predict(self, image: np.ndarray, prompts: Prompts) -> Masks:
        """Return one mask per prompt, in their order; the image, RGB uint8 ``[H, W, 3]``, is encoded once for all of them."""


@runtime_checkable
class BoxDetector(Protocol):
    """A source of boxes with classes: Grounding DINO."""

    def detect(self, image: np.ndarray, classes: Sequence[str]) -> Detections:
        """Return boxes of the named classes in an image, RGB uint8 ``[H, W, 3]``; class ids are positions in ``classes``."""


def box_window(box_xyxy: Sequence[int]) -> tuple[slice, slice]:
    """Return rows and columns of a whole-pixel box, to index ``[H, W]`` with."""
    x1, y1, x2, y2 = (int(value) for value in box_xyxy)
    return slice(y1, y2), slice(x1, x2)
