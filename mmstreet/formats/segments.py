"""A picture of numbers, cut into the regions of equal value: how maps of ids, colours and classes become masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mmstreet.files.rle import counts_from_runs, run_extents


class Segment(NamedTuple):
    """All pixels of one value: the value, the COCO box around them and the COCO run lengths of their mask, int64."""

    value: int
    bbox: tuple[int, int, int, int]
    counts: np.ndarray


def split_by_value(pixels: np.ndarray) -> list[Segment]:
    """Return one segment for each value of a map, in ascending order of the values.

    The picture is cut into column-wise runs of equal value first, so that sorting sees thousands of runs instead of a million pixels, and
    the run lengths are the COCO masks at once.

    Args:
        pixels: Integers ``[H, W]``.

    Example:
        >>> [(value, bbox) for value, bbox, _ in split_by_value(np.array([[7, 7, 0]]))]
        [(0, (2, 0, 1, 1)), (7, (0, 0, 2, 1))]
    """
    height, width = pixels.shape
    if height * width == 0:
        return []
    starts, run_values = _column_runs(pixels)
    values = np.unique(run_values)
    group = np.searchsorted(values, run_values)  # seven times faster than np.unique's own inverse
    # Runs sorted by the value that they have, within it by position: each segment is one slice.
    order = np.argsort(group, kind="stable")
    runs = np.stack([starts, np.append(starts[1:], height * width)], axis=1)[order]
    first = np.searchsorted(group[order], np.arange(len(values)))
    last = np.append(first[1:], len(runs))
    left, right, top, bottom = run_extents(runs, height)
    x0, x1 = np.minimum.reduceat(left, first), np.maximum.reduceat(right, first)
    y0, y1 = np.minimum.reduceat(top, first), np.maximum.reduceat(bottom, first)
    return [
        Segment(
            int(values[i]),
            (int(x0[i]), int(y0[i]), int(x1[i] - x0[i] + 1), int(y1[i] - y0[i] + 1)),
            counts_from_runs(runs[first[i] : last[i]], (height, width)),
        )
        for i in range(len(values))
    ]


def _column_runs(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut a picture ``[H, W]`` into column-wise runs of equal value; return first position, int64 ``[R]``, and value of each.

    Pixels are compared as they lie in memory, row by row; only where a run begins is turned to column-major order. That takes a third of
    the time of turning the picture.
    """
    height, width = pixels.shape
    begins = np.empty((height, width), bool)
    np.not_equal(pixels[1:], pixels[:-1], out=begins[1:])
    begins[0, 0] = True
    np.not_equal(pixels[0, 1:], pixels[-1, :-1], out=begins[0, 1:])  # runs go on from the foot of a column to the head of the next
    places = np.flatnonzero(begins)
    row, column = np.divmod(places, width)
    starts = column * height + row
    order = np.argsort(starts)
    return starts[order], pixels.reshape(-1)[places[order]]
