"""Lookup tables for label maps and windows for crops, on plain numpy arrays."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

OUTSIDE = 254
"""What a lookup table gives for an id that its source table does not have; no class table may be that long."""


def build_remap_lut(pairs: Mapping[int, int], *, num_source: int, unlisted: int = 255, ignore_index: int = 255) -> np.ndarray:
    """Make the 256-entry table that sends source ids to target ids.

    Args:
        pairs: Source id to target id; several sources may share a target.
        num_source: Number of classes in the source table; its ids are ``0 … num_source - 1``.
        unlisted: Target of the source ids that are not in ``pairs``.
        ignore_index: Stays what it is.

    Returns:
        uint8 ``[256]``; ids that the source table does not have give :data:`OUTSIDE`.

    Raises:
        ValueError: If an id does not fit.
    """
    for source, target in pairs.items():
        if not 0 <= source < num_source <= OUTSIDE:
            raise ValueError(f"source id {source} is not in 0 … {num_source - 1}")
        if not (0 <= target < OUTSIDE or target == ignore_index):
            raise ValueError(f"target id {target} is neither in 0 … {OUTSIDE - 1} nor {ignore_index}")
    lut = np.full(256, OUTSIDE, np.uint8)
    lut[:num_source] = unlisted
    lut[list(pairs)] = list(pairs.values())
    lut[ignore_index] = ignore_index
    return lut


def apply_lut(labels: np.ndarray, lut: np.ndarray) -> np.ndarray:
    """Send every id through a 256-entry table, in one pass.

    ``lut[labels]`` would first widen each byte to a 64-bit index; ``bytes.translate`` does not, and is about four times as fast.

    Args:
        labels: Ids, uint8 ``[H, W]``.
        lut: Table, uint8 ``[256]``.

    Returns:
        New array, uint8 ``[H, W]``.

    Raises:
        TypeError: If either is not uint8.
        ValueError: If the table does not have 256 entries.
    """
    if labels.dtype != np.uint8 or lut.dtype != np.uint8:
        raise TypeError(f"labels and lookup table must be uint8, not {labels.dtype} and {lut.dtype}")
    if lut.shape != (256,):
        raise ValueError(f"a lookup table has 256 entries, not shape {lut.shape}")
    return np.frombuffer(bytearray(np.ascontiguousarray(labels)).translate(lut.tobytes()), np.uint8).reshape(labels.shape)


def first_outside(labels: np.ndarray, mapped: np.ndarray) -> tuple[int, int, int, int] | None:
    """Find the first pixel whose id the table did not have.

    Args:
        labels: Ids before the table, uint8 ``[H, W]``.
        mapped: The same after the table, uint8 ``[H, W]``.

    Returns:
        ``(id, y, x, count)``, ``count`` being the number of pixels with that id; None if every id is in the table.
    """
    outside = mapped == OUTSIDE
    if not outside.any():
        return None
    y, x = divmod(int(outside.argmax()), labels.shape[1])
    value = int(labels[y, x])
    return value, y, x, int(np.count_nonzero(labels == value))


def window_shape(
    image_hw: tuple[int, int], size_hw: tuple[int, int], *, zoom: float, fraction: float, fraction_min: float
) -> tuple[int, int]:
    """Choose the sides of a crop window.

    The smallest window wanted is the largest one with the aspect ratio of ``size_hw`` in the image, times ``fraction``, with no
    side below ``fraction_min`` of the image's. Where the network has room for more at this zoom, the window grows into the image.

    Args:
        image_hw: Image height and width in pixels.
        size_hw: Network height and width in pixels.
        zoom: Network pixels per image pixel.
        fraction: Share of the sides, in (0, 1].
        fraction_min: Least share of either side.

    Returns:
        Window height and width in pixels, at least 1 and at most the image's.
    """
    fit = min(image_hw[0] / size_hw[0], image_hw[1] / size_hw[1])
    sides = [
        min(length, max(1, round(max(side * fit * fraction, length * fraction_min, side / zoom))))
        for length, side in zip(image_hw, size_hw)
    ]
    return sides[0], sides[1]


def offset_range(length: int, window: int, anchor: int | None = None) -> tuple[int, int]:
    """Give the first and last offset at which a window fits, and covers ``anchor`` if one is named.

    Args:
        length: Image side in pixels.
        window: Window side in pixels, at most ``length``.
        anchor: Coordinate in ``[0, length)`` that has to be inside.
    """
    low, high = 0, length - window
    if anchor is not None:
        low, high = max(low, anchor - window + 1), min(high, anchor)
    return low, high
