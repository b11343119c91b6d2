"""From whatever a user has to an RGB image, and from an RGB image to what a network wants."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mmstreet.files.images import read_rgb


def as_rgb(image: object) -> np.ndarray:
    """Return an image as RGB, uint8 ``[H, W, 3]``.

    Args:
        image: Path of a file (see :func:`~mmstreet.files.images.read_rgb`; an alpha channel is dropped and of 16 bits the upper
            8 are kept, as in training), a PIL image, or an array in RGB order: ``[H, W, 3]``, ``[H, W]`` or ``[H, W, 1]`` for grey, or
            ``[H, W, 4]`` with alpha, which is dropped; uint8, or uint16 of which the upper 8 bits are kept.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If the file cannot be decoded.
        ValueError: If an array has another shape or type. Float images are refused, for nobody can tell ``0…1`` from ``0…255`` in the dark.
    """
    if isinstance(image, str | Path):
        return read_rgb(image)
    array = np.asarray(image if not hasattr(image, "convert") else image.convert("RGB"))
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or not array.size:
        raise ValueError(
            f"an image is RGB uint8 [H, W, 3], grey [H, W] or RGBA [H, W, 4], or uint16 of these shapes; got {array.dtype} "
            f"{list(array.shape)}; convert it first"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(array[..., :3])


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
