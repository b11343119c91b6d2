"""Sizes of network inputs, and class scores at the size of an image."""

from __future__ import annotations

import cv2
import numpy as np


def fit_size(size_hw: tuple[int, int], *, scale_wh: tuple[int, int], keep_ratio: bool) -> tuple[int, int]:
    """Return the height and width to which mmcv's ``Resize`` brings an image.

    Args:
        size_hw: Size of the image.
        scale_wh: The ``scale`` of the transform. With ``keep_ratio`` it is a frame in either orientation: the long side stays within the
            longer of both numbers, the short side within the shorter.
        keep_ratio: Whether the sides keep their ratio.

    Example:
        >>> fit_size((720, 1280), scale_wh=(640, 640), keep_ratio=True)
        (360, 640)
    """
    if not keep_ratio:
        return int(scale_wh[1]), int(scale_wh[0])
    height, width = size_hw
    factor = min(max(scale_wh) / max(height, width), min(scale_wh) / min(height, width))
    return int(height * factor + 0.5), int(width * factor + 0.5)


def resize_scores(scores: np.ndarray, size_hw: tuple[int, int], *, align_corners: bool = False) -> np.ndarray:
    """Resize class scores bilinearly, as ``torch.nn.functional.interpolate`` does.

    Args:
        scores: float32 ``[C, h, w]``.
        size_hw: New height and width.
        align_corners: Whether corner pixels keep their values, as in torch.

    Returns:
        float32 ``[C, H, W]``.
    """
    if scores.shape[1:] == tuple(size_hw):
        return scores
    if not align_corners:
        return np.stack([cv2.resize(score, size_hw[::-1], interpolation=cv2.INTER_LINEAR) for score in scores])
    for axis, new in ((1, size_hw[0]), (2, size_hw[1])):
        old = scores.shape[axis]
        at = np.linspace(0, old - 1, new, dtype=np.float64) if new > 1 else np.zeros(1)
        low = np.minimum(at.astype(np.int64), max(old - 2, 0))
        share = (at - low).astype(np.float32).reshape((-1, 1) if axis == 1 else -1)
        scores = scores.take(low, axis) * (1 - share) + scores.take(np.minimum(low + 1, old - 1), axis) * share
    return scores
