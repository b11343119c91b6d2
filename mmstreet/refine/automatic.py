"""Pieces of automatic mask generation (Kirillov et al., ICCV 2023): a grid of points, crops, how stable a mask is, and suppression."""

from __future__ import annotations

import numpy as np


def point_grid(size_hw: tuple[int, int], points_per_side: int) -> np.ndarray:
    """Spread points evenly over the whole image, whatever its proportions.

    Args:
        size_hw: Size of the image.
        points_per_side: ``n``: point ``i`` of a side lies at ``(i + 0.5) / n`` of it.

    Returns:
        ``x, y`` pairs, float32 ``[n * n, 2]``, row by row.

    Example:
        >>> point_grid((100, 200), 2).tolist()
        [[50.0, 25.0], [150.0, 25.0], [50.0, 75.0], [150.0, 75.0]]
    """
    shares = (np.arange(points_per_side) + 0.5) / points_per_side
    x, y = np.meshgrid(shares * size_hw[1], shares * size_hw[0])
    return np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)


def crop_boxes(size_hw: tuple[int, int], *, layers: int, overlap: float = 512 / 1500) -> list[tuple[int, int, int, int]]:
    """Return the whole image and, for each layer ``i`` from 1 on, ``2**i`` times ``2**i`` overlapping crops, whole-pixel boxes.

    Args:
        size_hw: Size of the image.
        layers: Number of layers of crops; 0 gives the image alone.
        overlap: Share of the image's shorter side by which neighbours of layer 0 would overlap; half of it in each further layer.
    """
    height, width = size_hw
    boxes = [(0, 0, width, height)]
    for layer in range(1, layers + 1):
        count = 2**layer
        shared = int(overlap * min(size_hw) * 2 / count)
        w, h = (int(np.ceil((shared * (count - 1) + length) / count)) for length in (width, height))
        for row in range(count):
            for column in range(count):
                x, y = (w - shared) * column, (h - shared) * row
                boxes.append((x, y, min(x + w, width), min(y + h, height)))
    return boxes


def stability(logits: np.ndarray, *, offset: float = 1.0) -> np.ndarray:
    """IoU of each mask with itself when its threshold is raised and lowered.

    Args:
        logits: float ``[N, h, w]``.
        offset: By how much.

    Returns:
        float64 ``[N]`` in ``[0, 1]``; 0 for a mask that is empty even at the lower threshold.
    """
    inner = (logits > offset).sum((1, 2))
    outer = (logits > -offset).sum((1, 2))
    return inner / np.maximum(outer, 1)


def touches_inner_edge(
    box_xyxy: tuple[int, int, int, int], crop_xyxy: tuple[int, int, int, int], size_hw: tuple[int, int], *, within_px: int = 20
) -> bool:
    """Tell whether a mask reaches an edge of its crop that is no edge of the image: it was probably cut off there.

    Args:
        box_xyxy: Box of the mask in the image.
        crop_xyxy: The crop.
        size_hw: Size of the image.
        within_px: How near counts as reaching.
    """
    height, width = size_hw
    edges = zip(box_xyxy, crop_xyxy, (0, 0, width, height))
    return any(abs(side - crop) <= within_px and abs(side - image) > within_px for side, crop, image in edges)
