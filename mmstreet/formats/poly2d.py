"""Scalabel's ``poly2d``: polygons of straight and Bézier pieces, and their pixels.

Coordinates are continuous with x to the right and y down; pixel ``(x, y)`` covers ``[x, x + 1) × [y, y + 1)``. A pixel
belongs to a polygon when its centre lies inside, so that the square ``(2, 2) … (6, 5)`` has 4 × 3 = 12 pixels
(OpenCV's ``fillPoly`` draws the border as well and gives 20). Within one polygon the even–odd rule decides; several
polygons of one label are united.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmstreet.files.rle import counts_from_runs, merge_runs
from mmstreet.formats.rules import RecordError

MAX_CROSSINGS = 1 << 23
"""Crossings of edges with columns of pixels that one polygon may have; a polygon around 16 megapixels has about 10,000."""
SAMPLES_PER_CURVE = 16
"""Straight pieces that stand for one cubic Bézier curve."""


def flatten_poly2d(vertices: np.ndarray, types: str, *, closed: bool = True) -> np.ndarray:
    """Replace the Bézier curves of a polygon by short straight pieces.

    The first vertex is where the polygon starts, whatever its type. ``L`` is a corner. ``C`` comes as ``CCC`` (two
    control points and the end of the curve) or, as Scalabel's manual has it, as ``CC`` (two control points) before the
    ``L`` that ends the curve; ``CC`` at the end of a closed polygon leads back to its start.

    Args:
        vertices: float ``[N, 2]``, x and y.
        types: One letter, ``L`` or ``C``, per vertex.
        closed: Whether the polygon returns to its first vertex.

    Returns:
        Corners, float ``[M, 2]``.

    Raises:
        RecordError: If letters and vertices differ in number, a letter is unknown, or a curve lacks control points.

    Example:
        >>> len(flatten_poly2d(np.array([[0, 0], [4, 0], [4, 4], [0, 4]]), "LCCC"))
        17
    """
    vertices = np.asarray(vertices, np.float64).reshape(-1, 2)
    kinds = types.upper()
    if len(kinds) != len(vertices) or set(kinds) - {"L", "C"}:
        raise RecordError("malformed polygon", f"expected one letter L or C per vertex ({len(vertices)}), got '{types:.40}'")
    if "C" not in kinds:
        return vertices
    pieces, i = [vertices[:1]], 1
    while i < len(vertices):
        if kinds[i] == "L":
            pieces.append(vertices[i : i + 1])
            i += 1
            continue
        curve = vertices[i : i + 3]
        if len(curve) == 2 and closed:
            curve = np.concatenate([curve, vertices[:1]])
        if len(curve) < 3 or kinds[i + 1] != "C":
            raise RecordError("malformed polygon", f"the curve at vertex {i} of '{types:.40}' needs two control points and an end")
        pieces.append(_sample_cubic(pieces[-1][-1], *curve))
        i += 3
    return np.concatenate(pieces)


def _sample_cubic(start: np.ndarray, first: np.ndarray, second: np.ndarray, end: np.ndarray) -> np.ndarray:
    t = np.linspace(0, 1, SAMPLES_PER_CURVE + 1)[1:, None]
    return (1 - t) ** 3 * start + 3 * (1 - t) ** 2 * t * first + 3 * (1 - t) * t**2 * second + t**3 * end


def fill_polygons(polygons: Sequence[np.ndarray], size_hw: tuple[int, int]) -> np.ndarray:
    """Return the pixels inside any of the polygons.

    Columns of pixel centres are cut by the edges, and the pieces between cuts are the runs of the mask: no picture is
    drawn, and the cost follows the polygon's width instead of the image's area.

    Args:
        polygons: Corners of each polygon, float ``[M, 2]``; parts outside the image are cut off.
        size_hw: Height and width of the image.

    Returns:
        Column-major runs, int64 ``[R, 2]``, as :func:`mmstreet.files.rle.runs_from_mask` gives; empty when no pixel's
        centre lies inside.

    Raises:
        RecordError: If a polygon crosses more columns than memory should be spent on.
    """
    runs = [_fill_polygon(np.asarray(corners, np.float64), size_hw) for corners in polygons]
    return runs[0] if len(runs) == 1 else merge_runs(np.concatenate([np.zeros((0, 2), np.int64), *runs]))


def counts_from_polygons(polygons: Sequence[np.ndarray], size_hw: tuple[int, int]) -> np.ndarray:
    """Return the COCO run lengths, int64, of the pixels inside any of the polygons; see :func:`fill_polygons`."""
    return counts_from_runs(fill_polygons(polygons, size_hw), size_hw)


def _fill_polygon(corners: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Runs of one polygon by the even–odd rule, sorted, no two touching."""
    height, width = size_hw
    if not len(corners):
        return np.zeros((0, 2), np.int64)
    # A polygon has few corners, so that each step of numpy costs its call: this is written for few steps.
    x, y = ends = np.concatenate((corners, corners[:1])).T
    # Columns whose centre lies in [left end, right end) of the edge: a corner on a centre line counts once.
    column = np.minimum(np.maximum(np.ceil(x - 0.5), 0), width).astype(np.int64)
    step = column[1:] - column[:-1]
    count = np.abs(step)
    last = count.cumsum()
    crossings = int(last[-1])
    if crossings > MAX_CROSSINGS:
        raise RecordError("malformed polygon", f"a polygon crosses columns of pixels {crossings} times, at most {MAX_CROSSINGS} are filled")
    first = np.minimum(column[1:], column[:-1]) + (count - last)
    run, rise = ends[:, 1:] - ends[:, :-1]
    with np.errstate(all="ignore"):  # vertical edges cross no column
        slope = rise / run
    edges = np.array((first, x[:-1], slope, y[:-1])).repeat(count, 1)
    edges[0] += np.arange(crossings)
    crossing = edges[3] + (edges[0] + 0.5 - edges[1]) * edges[2]
    # Whole numbers up to 2^53 are exact as floats. Every two cuts in the order of their positions enclose a run; cuts at one place cancel
    # each other in pairs.
    cuts = (edges[0] * height + np.minimum(np.maximum(np.ceil(crossing - 0.5), 0), height)).astype(np.int64)
    cuts.sort()
    changes = cuts[1:] != cuts[:-1]
    if not changes.all():
        distinct = np.flatnonzero(np.concatenate([[True], changes]))
        times = np.diff(distinct, append=len(cuts))
        cuts = cuts[distinct[times % 2 == 1]]
    return cuts.reshape(-1, 2)
