"""Palettes, and class ids in colour: the one place where a label map becomes a picture."""

from __future__ import annotations

from collections.abc import Sequence
from colorsys import hsv_to_rgb

import numpy as np

from mmstreet.files.label_ids import IGNORE_INDEX

IGNORED = (0, 0, 0)
NO_CLASS = (64, 64, 64)


def spread_palette(count: int) -> list[list[int]]:
    """Return ``count`` RGB colours of well separated hues, for classes that have none of their own."""
    return [[round(255 * part) for part in hsv_to_rgb(i * 0.618 % 1, 0.65, 0.65 + 0.3 * (i % 2))] for i in range(count)]


def check_palette(palette: Sequence | None, num_classes: int) -> np.ndarray:
    """Return a palette as uint8 ``[C, 3]``; without one, or with one of another length, the colours of :func:`spread_palette`."""
    if palette is None or len(palette) != num_classes:
        palette = spread_palette(num_classes)
    return np.asarray(palette, np.uint8).reshape(num_classes, 3)


def colorize(
    labels: np.ndarray,
    palette: Sequence[Sequence[int]],
    *,
    ignore_index: int = IGNORE_INDEX,
    ignored: Sequence[int] = IGNORED,
    no_class: Sequence[int] = NO_CLASS,
) -> np.ndarray:
    """Turn class ids into colours.

    Args:
        labels: Class ids, integers ``[H, W]``, not negative.
        palette: RGB of each class, ``[C, 3]``.
        ignore_index: Id of ignored pixels.
        ignored: RGB of ignored pixels.
        no_class: RGB of every other id that is no class.

    Returns:
        RGB, uint8 ``[H, W, 3]``.

    Example:
        >>> colorize(np.array([[0, 255]]), [(128, 64, 128)]).tolist()
        [[[128, 64, 128], [0, 0, 0]]]
    """
    count = len(palette)
    lut = np.empty((count + 2, 3), np.uint8)
    lut[:count] = np.asarray(palette, np.uint8).reshape(count, 3)
    lut[count:] = no_class, ignored
    rows = np.minimum(labels, count).astype(np.intp)
    rows[labels == ignore_index] = count + 1
    return lut[rows]
