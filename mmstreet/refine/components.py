"""Connected regions of a label map: finding them, their boxes, their deepest points, and what lies next to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmstreet.labels import IGNORE_INDEX
from mmstreet.refine.proposals import Detections, box_window

EIGHT = np.ones((3, 3), bool)
"""Pixels that touch at a corner belong together."""


@dataclass(frozen=True, eq=False)
class Component:
    """A region of one class: its class id, whole-pixel box, and bool cut-out of that box."""

    class_id: int
    box_xyxy: tuple[int, int, int, int]
    crop: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        return box_window(self.box_xyxy)

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return int(np.count_nonzero(self.crop))


def find_components(labels: np.ndarray, class_ids: Sequence[int], *, min_area_px: int = 64, limit: int = 256) -> list[Component]:
    """Find the 8-connected regions of some classes.

    Args:
        labels: uint8 ``[H, W]``.
        class_ids: The classes.
        min_area_px: Regions with fewer pixels are left out.
        limit: At most so many are returned, the largest.

    Returns:
        The regions, largest first; of equal ones the one whose first pixel comes first in reading order.
    """
    found = []
    for class_id in class_ids:
        numbered, count = ndimage.label(labels == class_id, structure=EIGHT)
        areas = np.bincount(numbered.ravel(), minlength=count + 1)
        for number, window in enumerate(ndimage.find_objects(numbered), 1):
            if areas[number] < min_area_px:
                continue
            rows, columns = window
            crop = numbered[window] == number
            first = (rows.start, columns.start + int(crop[0].argmax()))
            found.append((-areas[number], first, Component(int(class_id), (columns.start, rows.start, columns.stop, rows.stop), crop)))
    return [component for *_, component in sorted(found, key=lambda item: item[:2])[:limit]]


def components_of_detections(labels: np.ndarray, detections: Detections) -> list[Component]:
    """Return what the label map has of each detected class inside its box, one region per detection, which may be empty."""
    height, width = labels.shape
    found = []
    for (x1, y1, x2, y2), class_id in zip(detections.boxes_xyxy.tolist(), detections.class_ids.tolist()):
        box = (*(int(max(0, np.floor(v))) for v in (x1, y1)), min(width, int(np.ceil(x2))), min(height, int(np.ceil(y2))))
        box = (*box[:2], max(box[2], box[0]), max(box[3], box[1]))
        found.append(Component(int(class_id), box, labels[box_window(box)] == class_id))
    return found


def depth(crop: np.ndarray) -> np.ndarray:
    """Distance of each pixel of a region to the nearest pixel outside it; beyond the cut-out everything is outside.

    Args:
        crop: bool ``[h, w]``.

    Returns:
        float64 ``[h, w]`` in pixels, 0 outside the region, 1 at its rim.
    """
    return ndimage.distance_transform_edt(np.pad(crop, 1))[1:-1, 1:-1]


def inner_point(crop: np.ndarray) -> tuple[int, int]:
    """Return ``(x, y)`` of the deepest pixel of a region, bool ``[h, w]`` and not empty, the first of equals in reading order.

    It lies inside whatever the shape; the centroid of a C does not.

    Example:
        >>> c = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 1]], bool)
        >>> inner_point(c)
        (0, 0)
    """
    y, x = np.unravel_index(depth(crop).argmax(), crop.shape)
    return int(x), int(y)


def grow_box(box_xyxy: Sequence[float], size_hw: tuple[int, int], *, by: float) -> tuple[float, float, float, float]:
    """Push each side of a box outwards by a share of its width or height, clipped to the image."""
    x1, y1, x2, y2 = box_xyxy
    dx, dy = by * (x2 - x1), by * (y2 - y1)
    return max(0.0, x1 - dx), max(0.0, y1 - dy), min(float(size_hw[1]), x2 + dx), min(float(size_hw[0]), y2 + dy)


def grow_window(box_xyxy: Sequence[int], size_hw: tuple[int, int], *, by: float) -> tuple[slice, slice]:
    """Return rows and columns of a grown box in whole pixels, at least one pixel wider than the box on each side inside the image."""
    x1, y1, x2, y2 = grow_box(box_xyxy, size_hw, by=by)
    left, top = min(int(x1), box_xyxy[0] - 1), min(int(y1), box_xyxy[1] - 1)
    right, bottom = max(int(np.ceil(x2)), box_xyxy[2] + 1), max(int(np.ceil(y2)), box_xyxy[3] + 1)
    return slice(max(0, top), min(size_hw[0], bottom)), slice(max(0, left), min(size_hw[1], right))


def cut(crop: np.ndarray, box_xyxy: Sequence[int], window: tuple[slice, slice], *, fill: float = 0) -> np.ndarray:
    """Return what a cut-out, ``[h, w]`` on its box, shows in another window of the image; ``fill`` beyond its box.

    Example:
        >>> cut(np.ones((2, 2), bool), (1, 1, 3, 3), (slice(0, 2), slice(2, 4))).astype(int)
        array([[0, 0],
               [1, 0]])
    """
    rows, columns = window
    out = np.full((rows.stop - rows.start, columns.stop - columns.start), fill, crop.dtype)
    x1, y1, x2, y2 = (int(value) for value in box_xyxy)
    top, bottom, left, right = max(y1, rows.start), min(y2, rows.stop), max(x1, columns.start), min(x2, columns.stop)
    if top < bottom and left < right:
        out[top - rows.start : bottom - rows.start, left - columns.start : right - columns.start] = crop[
            top - y1 : bottom - y1, left - x1 : right - x1
        ]
    return out


def nearest_other(labels: np.ndarray, component: Component, window: tuple[slice, slice]) -> np.ndarray | None:
    """Return the class of the nearest labelled pixel of another class, at each pixel of a window; ``None`` if it has no such pixel."""
    part = labels[window]
    others = (part != component.class_id) & (part != IGNORE_INDEX)
    if not others.any():
        return None
    at = ndimage.distance_transform_edt(~others, return_distances=False, return_indices=True)
    return part[tuple(at)]
