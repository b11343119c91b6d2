"""Labels at the size of the image as compiled loops over its rows: extra ``fast``. :mod:`mmstreet.models.label_resizing` says which.

The scores of a new row are means of those of two old rows, and so are few enough to stay in the cache. Where one class wins at two
neighbours of that row, it wins between them; elsewhere the scores of every class are computed, pixel by pixel.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from mmstreet.models.label_resizing import Neighbours

F = np.float32
_ONE = F(1)
_JIT = dict(nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


def label_by_rows(maps: np.ndarray, tolerance: float, rows: Neighbours, columns: Neighbours) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of the highest resized score of each pixel, and the pixels where another is nearer than the tolerance.

    Args:
        maps: Finite scores, contiguous float32 ``[C, h, w]``; ``C`` at most 256.
        tolerance: By how much the highest score has to lead.
        rows: The old rows beside each of the ``H`` new ones.
        columns: The old columns beside each of the ``W`` new ones.

    Returns:
        uint8 ``[H, W]``, and the places of near pixels, int64 ``[N]``, counted row by row.
    """
    labels = np.empty((len(rows.first), len(columns.first)), np.uint8)
    near = np.empty(labels.size, np.int64)
    starts = np.searchsorted(columns.first, np.arange(maps.shape[2] + 1))
    found = _label(maps, F(tolerance), rows.first, rows.weight, columns.first, columns.weight, starts, labels, near)
    return labels, near[:found].copy()


@njit(**_JIT)
def _rank(score, k, best, second, winner):
    """Let class ``k`` compete with those before it: highest and second highest score, and the class of the highest."""
    for n in range(len(score)):
        s, b = score[n], best[n]
        second[n] = max(second[n], min(b, s))
        winner[n] = k if s > b else winner[n]
        best[n] = max(b, s)


@njit(cache=True, **_JIT)
def _label(maps, tolerance, top, down, left, across, starts, labels, near):
    """Fill ``labels``, and ``near`` with places; return how many.

    New row ``i`` lies ``down[i]`` below the old row ``top[i]``, new column ``j`` lies ``across[j]`` beside ``left[j]``; the new columns
    between the old ones ``x`` and ``x + 1`` are those from ``starts[x]`` on.
    """
    (classes, height, width), wide = maps.shape, len(left)
    scores, best, second, winner = np.empty((classes, width), F), np.empty(width, F), np.empty(width, F), np.empty(width, np.int32)
    split = np.empty(width, np.bool_)
    column, right, at, share = np.empty(wide, np.int32), np.empty(wide, np.int32), np.empty(wide, np.int32), np.empty(wide, F)
    score_at, best_at, second_at, winner_at = np.empty(wide, F), np.empty(wide, F), np.empty(wide, F), np.empty(wide, np.int32)
    found = 0
    for i in range(len(top)):
        y, low = top[i], down[i]
        below = min(y + 1, height - 1)
        best[:], second[:], winner[:] = F(-np.inf), F(-np.inf), 0
        for k in range(classes):
            for x in range(width):
                scores[k, x] = (_ONE - low) * maps[k, y, x] + low * maps[k, below, x]
            _rank(scores[k], np.int32(k), best, second, winner)
        for x in range(width):
            split[x] = best[x] - second[x] <= tolerance
        for x in range(width - 1):
            split[x] |= split[x + 1] | (winner[x] != winner[x + 1])
        for j in range(wide):
            labels[i, j] = winner[left[j]]

        count = 0
        for x in range(width):
            if split[x]:
                for j in range(starts[x], starts[x + 1]):
                    column[count], at[count], share[count] = j, x, across[j]
                    right[count] = min(x + 1, width - 1)
                    count += 1
        best_at[:count], second_at[:count], winner_at[:count] = F(-np.inf), F(-np.inf), 0
        for k in range(classes):
            for n in range(count):
                score_at[n] = (_ONE - share[n]) * scores[k, at[n]] + share[n] * scores[k, right[n]]
            _rank(score_at[:count], np.int32(k), best_at, second_at, winner_at)
        for n in range(count):
            labels[i, column[n]] = winner_at[n]
            near[found] = i * wide + column[n]
            found += best_at[n] - second_at[n] <= tolerance
    return found
