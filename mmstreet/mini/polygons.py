"""Exact contours of masks, as polygons along pixel edges."""

from __future__ import annotations

import numpy as np

Polygon = list[tuple[int, int]]


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
