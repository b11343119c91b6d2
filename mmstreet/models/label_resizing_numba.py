"""Labels along the borders of regions as compiled loops: extra ``fast``; :mod:`mmstreet.models.label_resizing` says what they find.

The scores lie pixel by pixel here, so that those of all classes at a pixel are read together. Any share of disputed pixels takes less time
than resizing everything.
"""

from __future__ import annotations

import numpy as np
from numba import njit

F = np.float32
_ONE = F(1)


def label_by_borders(
    maps: np.ndarray,
    tolerance: float,
    top: np.ndarray,
    down: np.ndarray,
    left: np.ndarray,
    across: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of the highest resized score of each pixel, and the pixels where another is nearer than the tolerance.

    Args:
        maps: Finite scores, contiguous float32 ``[C, h, w]``; ``C`` at most 256.
        tolerance: By how much the highest score has to lead.
        top: Row of the first neighbour of each new row, int64 ``[H]``.
        down: Weight of the row after it, float32 ``[H]``.
        left: As ``top``, of the columns, ``[W]``.
        across: As ``down``.

    Returns:
        uint8 ``[H, W]``, and the places of near pixels, int64 ``[N]``, counted row by row.
    """
    labels = np.empty((len(top), len(left)), np.uint8)
    near = np.zeros(labels.shape, np.bool_)
    _label(maps, F(tolerance), top, down, left, across, labels, near)
    return labels, np.flatnonzero(near)


@njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, cache=True)
def _label(maps, tolerance, top, down, left, across, labels, near):
    classes, height, width = maps.shape
    scores = np.empty((height, width, classes), F)
    winner, close = np.empty((height, width), np.int16), np.empty((height, width), np.bool_)
    best, second, first = np.empty(width, F), np.empty(width, F), np.empty(width, np.int32)
    for y in range(height):
        for x in range(width):
            best[x], second[x], first[x] = maps[0, y, x], F(-np.inf), 0
            scores[y, x, 0] = maps[0, y, x]
        for k in range(1, classes):
            for x in range(width):
                score, high = maps[k, y, x], best[x]
                second[x] = max(second[x], min(high, score))
                first[x] = k if score > high else first[x]
                best[x] = max(high, score)
            for x in range(width):
                scores[y, x, k] = maps[k, y, x]
        for x in range(width):
            winner[y, x], close[y, x] = first[x], best[x] - second[x] <= tolerance

    for y in range(height):  # the class that wins at all four neighbours of a new pixel, or -1
        below = min(y + 1, height - 1)
        for x in range(width):
            right = min(x + 1, width - 1)
            label = winner[y, x]
            agree = label == winner[y, right] and label == winner[below, x] and label == winner[below, right]
            if not agree or close[y, x] or close[y, right] or close[below, x] or close[below, right]:
                winner[y, x] = -1

    mixed = np.empty(classes, F)
    for i in range(len(top)):
        y = top[i]
        below, low = min(y + 1, height - 1), down[i]
        for j in range(len(left)):
            label = winner[y, left[j]]
            labels[i, j] = label  # 255 for -1, which is written over
        for j in range(len(left)):
            x = left[j]
            if winner[y, x] >= 0:
                continue
            right, far = min(x + 1, width - 1), across[j]
            a, b, c, d = (_ONE - low) * (_ONE - far), (_ONE - low) * far, low * (_ONE - far), low * far
            for k in range(classes):
                mixed[k] = a * scores[y, x, k] + b * scores[y, right, k] + c * scores[below, x, k] + d * scores[below, right, k]
            high, next_high, best_class = mixed[0], F(-np.inf), 0
            for k in range(1, classes):
                score = mixed[k]
                next_high = max(next_high, min(high, score))
                best_class = k if score > high else best_class
                high = max(high, score)
            labels[i, j], near[i, j] = best_class, high - next_high <= tolerance
