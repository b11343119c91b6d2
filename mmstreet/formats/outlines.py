"""Exact contours of masks: along pixel edges as several polygons or as a single one, and through pixel centres as Cityscapes draws them."""

from __future__ import annotations

import cv2
import numpy as np

from mmstreet.files.rle import bbox_from_counts, mask_from_counts

Polygon = list[tuple[int, int]]
_INSIDE = 0.25
"""Pixels between the edge of a mask and the polygon of :func:`trace_outline`; more than 0 and less than 0.5."""


def trace_polygons(mask: np.ndarray) -> list[Polygon]:
    """Return polygons whose union is exactly the mask.

    Corners lie on pixel edges: pixel ``(x, y)`` is the square from ``(x, y)`` to ``(x + 1, y + 1)``, so the polygon of one
    pixel has area 1 and a pixel belongs to a polygon when its centre does. Where a region has a hole it is cut in two
    columns of the hole, because a list of polygons can only add, not take away.

    Args:
        mask: bool ``[H, W]``.

    Returns:
        Closed polygons as lists of ``(x, y)``, first corner not repeated; an empty list for an empty mask.
    """
    polygons: list[Polygon] = []
    pending = [(mask, 0)]
    while pending:
        part, left = pending.pop()
        if not part.any():
            continue
        loops = _trace_loops(part)
        hole = next((loop for loop in loops if _signed_area(loop) < 0), None)
        if hole is None:
            polygons += [[(x + left, y) for x, y in loop] for loop in loops]
            continue
        xs = [x for x, _ in hole]
        cut = max(min(xs) + 1, (min(xs) + max(xs)) // 2)
        pending += [(part[:, cut:], left + cut), (part[:, :cut], left)]
    return polygons


def trace_counts(counts: np.ndarray, size_hw: tuple[int, int]) -> list[Polygon]:
    """Return the polygons of :func:`trace_polygons` for a mask given by its COCO run lengths."""
    x, y, width, height = bbox_from_counts(counts, size_hw[0])
    mask = mask_from_counts(counts, size_hw)[y : y + height, x : x + width]
    return [[(px + x, py + y) for px, py in polygon] for polygon in trace_polygons(mask)]


def trace_outline(mask: np.ndarray) -> tuple[list[tuple[float, float]], int, int]:
    """Return one closed polygon for a mask, whatever holes and parts it has; coordinates are those of :func:`trace_polygons`.

    It runs a quarter of a pixel outside of the centres of the outermost pixels: by the even–odd rule exactly the mask's centres are inside,
    and OpenCV's ``fillPoly``, which cuts coordinates to whole pixels and draws the border, fills the mask, too. From the border the line
    goes to each hole, inside the mask, round it and back on itself; and so to each further part, which OpenCV draws as well.

    Args:
        mask: bool ``[H, W]``.

    Returns:
        The polygon as ``(x, y)``, first corner not repeated, empty for an empty mask; the number of holes; and the number of parts.
    """
    loops = _trace_loops(mask)
    lines = [_move_inside(loop) for loop in loops]
    holes = [number for number, loop in enumerate(loops) if _signed_area(loop) < 0]
    parts = [number for number, loop in enumerate(loops) if _signed_area(loop) > 0]
    edges = _horizontal_edges(loops) if holes else {}
    ways: list[dict[int, list[tuple[int, list]]]] = [{} for _ in loops]  # by edge: where a way leaves it, and the way
    # The lowest hole first: all that leaves a loop is known before the loop itself is reached from above.
    for hole in sorted(holes, key=lambda number: _top(loops[number]), reverse=True):
        y, x = _top(loops[hole])
        above = y
        while above > 0 and mask[above - 1, x]:
            above -= 1
        _, start = edges[x, y]
        ring = _with_ways(loops[hole], lines[hole], ways[hole], start)
        ends = (x + 0.5, above + _INSIDE), (x + 0.5, y - _INSIDE)
        loop, edge = edges[x, above]
        ways[loop].setdefault(edge, []).append((x, [*ends, *ring, *ends[::-1]]))
    lines = [_with_ways(loop, line, way) if way else line for loop, line, way in zip(loops, lines, ways)]
    if not parts:
        return [], len(holes), len(parts)
    outline = lines[parts[0]]
    for part in parts[1:]:
        ends = np.array(outline), np.array(lines[part])
        place = int(np.abs(ends[0] - ends[1][0]).sum(1).argmin())
        start = int(np.abs(ends[1] - ends[0][place]).sum(1).argmin())
        ring = lines[part][start:] + lines[part][:start]
        outline[place + 1 : place + 1] = [*ring, ring[0], outline[place]]
    return outline, len(holes), len(parts)


def _move_inside(loop: Polygon) -> list[tuple[float, float]]:
    """Move each corner to the inside, which lies to the right of both edges that meet in it."""
    points = np.array(loop)
    ahead = np.sign(np.roll(points, -1, 0) - points)
    edges = ahead + np.roll(ahead, 1, 0)  # one horizontal, one vertical
    return [tuple(point) for point in (points + _INSIDE * np.stack([-edges[:, 1], edges[:, 0]], 1)).tolist()]


def trace_centres(mask: np.ndarray) -> list[Polygon]:
    """Return one polygon through pixel centres for each part of a mask, holes joined as in :func:`trace_outline`.

    Pillow's ``ImageDraw.polygon``, with which Cityscapes' label maps are made, fills a polygon with its border; drawn so, the polygons
    give exactly the mask.

    Args:
        mask: bool ``[H, W]``; pixels that touch at a corner are one part.
    """
    contours, tree = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if tree is None:
        return []
    loops = [[tuple(point) for point in contour[:, 0].tolist()] for contour in contours]
    holes = [loop for loop, links in zip(loops, tree[0]) if links[3] >= 0]
    for hole in sorted(holes, key=_top, reverse=True):
        y, x = _top(hole)
        above = y
        while above > 0 and mask[above - 1, x]:
            above -= 1
        loop = next(loop for loop in loops if loop is not hole and (x, above) in loop)
        place = loop.index((x, above))
        loop[place + 1 : place + 1] = [*_from(hole, (x, y)), (x, y), (x, above)]
        loops = [other for other in loops if other is not hole]
    return [_without_straight(loop) for loop in loops]


def _top(loop: Polygon) -> tuple[int, int]:
    return min((y, x) for x, y in loop)


def _from(loop: Polygon, corner: tuple[int, int]) -> Polygon:
    place = loop.index(corner)
    return loop[place:] + loop[:place]


def _horizontal_edges(loops: list[Polygon]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return for each pixel's upper or lower edge that a loop runs along, by column and height, the loop and the number of its edge."""
    found = {}
    for number, loop in enumerate(loops):
        for edge, ((x0, y0), (x1, y1)) in enumerate(zip(loop, [*loop[1:], loop[0]])):
            if y0 == y1:
                found.update(((x, y0), (number, edge)) for x in range(min(x0, x1), max(x0, x1)))
    return found


def _with_ways(loop: Polygon, line: list, ways: dict[int, list[tuple[int, list]]], start: int | None = None) -> list:
    """Return a loop's line with the ways that leave it; all round from the middle of the edge ``start`` on, which no way leaves."""
    found = []
    order = range(len(loop)) if start is None else [*range(start + 1, len(loop)), *range(start + 1)]
    for edge in order:
        found.append(line[edge])
        (x0, _), (x1, _) = loop[edge], loop[(edge + 1) % len(loop)]
        for _, way in sorted(ways.get(edge, ()), key=lambda item: item[0], reverse=x1 < x0):
            found += way
    return found


def _without_straight(loop: Polygon) -> Polygon:
    """Leave out points between two steps of the same direction."""
    points = np.array(loop)
    steps = np.sign(np.roll(points, -1, 0) - points)
    kept = (steps != np.roll(steps, 1, 0)).any(1)
    corners = [tuple(point) for point in points[kept].tolist()] if kept.any() else loop[:1]
    return corners + corners[-1:] * (3 - len(corners))  # one pixel, or a line: Cityscapes' tools refuse a polygon of fewer points


def _trace_loops(mask: np.ndarray) -> list[Polygon]:
    """Follow the pixel edges around a mask: outer loops run clockwise (area > 0), loops around holes the other way."""
    padded = np.pad(mask, 1).astype(np.int8)
    # Horizontal edges run with the inside on their right: to the right above the mask, to the left below it.
    down = padded[1:, 1:-1] - padded[:-1, 1:-1]
    across = padded[1:-1, 1:] - padded[1:-1, :-1]
    follow: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for y, x in zip(*(a.tolist() for a in np.nonzero(down))):
        a, b = ((x, y), (x + 1, y)) if down[y, x] > 0 else ((x + 1, y), (x, y))
        follow.setdefault(a, []).append(b)
    for y, x in zip(*(a.tolist() for a in np.nonzero(across))):
        a, b = ((x, y + 1), (x, y)) if across[y, x] > 0 else ((x, y), (x, y + 1))
        follow.setdefault(a, []).append(b)
    loops = []
    while follow:
        start = here = next(iter(follow))
        came: tuple[int, int] | None = None
        loop: Polygon = []
        while True:
            step = _take_turn(follow, here, came)
            if step != came:
                loop.append(here)
            came, here = step, (here[0] + step[0], here[1] + step[1])
            if here == start and (start not in follow or len(follow[start]) == 0 or _closes(follow, start, came)):
                break
        if len(loop) > 1 and _direction(loop[-1], loop[0]) == _direction(loop[0], loop[1]):
            loop = loop[1:]
        loops.append(loop)
    return loops


def _take_turn(follow: dict, here: tuple[int, int], came: tuple[int, int] | None) -> tuple[int, int]:
    """Remove and return the next step; where two loops touch, turn right, so that they stay apart."""
    options = follow[here]
    pick = options[0]
    if len(options) == 2 and came is not None:
        right = (here[0] - came[1], here[1] + came[0])
        pick = right if right in options else pick
    options.remove(pick)
    if not options:
        del follow[here]
    return pick[0] - here[0], pick[1] - here[1]


def _closes(follow: dict, start: tuple[int, int], came: tuple[int, int]) -> bool:
    """Tell whether a loop that is back at a touching point ends there: it does unless a right turn is still open."""
    right = (start[0] - came[1], start[1] + came[0])
    return right not in follow[start]


def _direction(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    return int(np.sign(b[0] - a[0])), int(np.sign(b[1] - a[1]))


def _signed_area(loop: Polygon) -> int:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(loop, [*loop[1:], loop[0]]))
