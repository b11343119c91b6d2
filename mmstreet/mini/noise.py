"""Noise and blur, the raw materials of textures, clouds and weather."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

_MARGIN = 192


def smooth_noise(rng: np.random.Generator, size_hw: tuple[int, int], cell_hw: tuple[float, float]) -> np.ndarray:
    """Return noise of zero mean and unit strength that varies over about ``cell_hw`` pixels, float32 ``[H, W]``."""
    height, width = size_hw
    coarse = rng.standard_normal((max(2, int(height / cell_hw[0]) + 2), max(2, int(width / cell_hw[1]) + 2)), dtype=np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def periodic_noise(rng: np.random.Generator, side: int, cells: int) -> np.ndarray:
    """Return square noise, float32 ``[side, side]``, that repeats without a seam; ``cells`` is how often it varies."""
    pattern = np.tile(rng.standard_normal((cells, cells), dtype=np.float32), (3, 3))
    return np.asarray(Image.fromarray(pattern).resize((3 * side, 3 * side), Image.Resampling.BICUBIC))[side : 2 * side, side : 2 * side]


@lru_cache(maxsize=8)
def _bank(kind: str, size_hw: tuple[int, int]) -> np.ndarray:
    """Return a large field of noise that is the same for every picture; pictures take windows of it."""
    rng = np.random.default_rng(list(kind.encode()))
    height, width = size_hw[0] + _MARGIN, size_hw[1] + _MARGIN
    unit = max(size_hw[1] / 640, 0.25)
    if kind == "white":
        return rng.standard_normal((height, width), dtype=np.float32)
    layers = {"grain": ((0.6, 2, 2),), "blotch": ((0.6, 24, 18), (0.5, 90, 70)), "clumps": ((0.6, 3.2, 3.6), (0.55, 8, 9))}[kind]
    field = sum(weight * smooth_noise(rng, (height, width), (cell_h * unit, cell_w * unit)) for weight, cell_h, cell_w in layers)
    return field + 0.7 * rng.standard_normal((height, width), dtype=np.float32) if kind == "grain" else field


def noise_window(rng: np.random.Generator, kind: str, size_hw: tuple[int, int]) -> np.ndarray:
    """Return noise of about unit strength, float32 ``[H, W]``: a window at a random place of a field made once per size.

    Args:
        rng: Chooses the place and the mirroring.
        kind: ``'white'``, ``'grain'``, ``'blotch'`` or ``'clumps'``.
        size_hw: Height and width.
    """
    top, left, flip_v, flip_h = rng.integers(0, (_MARGIN, _MARGIN, 2, 2)).tolist()
    window = _bank(kind, size_hw)[top : top + size_hw[0], left : left + size_hw[1]]
    return window[:: 1 - 2 * flip_v, :: 1 - 2 * flip_h]


def blur(array: np.ndarray, radius: float, shrink: int = 1) -> np.ndarray:
    """Blur float32 ``[H, W]`` or ``[H, W, 3]`` in ``[0, 1]``; wide blurs work on a smaller picture."""
    image = Image.fromarray(np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8))
    size = image.size
    if shrink > 1:
        image = image.resize((max(1, size[0] // shrink), max(1, size[1] // shrink)), Image.Resampling.BOX)
    image = image.filter(ImageFilter.GaussianBlur(float(radius / shrink)))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR) if shrink > 1 else image).astype(np.float32) / 255
