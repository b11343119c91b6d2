"""Which images of a test are worth a look: those that cost most, in all, for each class, in each slice, by each confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_PER_CONFUSION = 2


def choose_images(
    counts: np.ndarray,
    scores: np.ndarray,
    slices: Sequence[Mapping[int, float]] = (),
    *,
    worst: int,
    examples: int,
    limit: int,
) -> dict[int, list[str]]:
    """Choose images.

    The lowest scores come first, then examples that are spread evenly, then in turn the first of each class (most pixels missed or made
    up), of each slice (lowest score) and of each confusion (most pixels; the confusion with most pixels first), the second of each, and so
    on until there are enough.

    Args:
        counts: Scored counts by image, ``[N, C + 1, C + 1]``.
        scores: mIoU of each image ``[N]``; nan where no pixel is scored.
        slices: For each slice the score by number of the image.
        worst: How many of the lowest scores.
        examples: How many examples.
        limit: How many in all.

    Returns:
        By number of the image, in the order of choice: ``'worst'``, ``'examples'``, both, or nothing.
    """
    ranked = np.argsort(scores, kind="stable")[: np.count_nonzero(~np.isnan(scores))].tolist()
    chosen: dict[int, list[str]] = {}
    spread = np.linspace(0, len(counts) - 1, min(examples, len(counts))).round().astype(int).tolist()
    for why, numbers in (("worst", ranked[:worst]), ("examples", spread)):
        for number in numbers:
            chosen.setdefault(number, []).append(why)
    queues = [*_by_class(counts), *(sorted(found, key=found.get) for found in slices), *_by_confusion(counts)]
    for rank in range(max(map(len, queues), default=0)):
        for queue in queues:
            if rank < len(queue) and len(chosen) < limit:
                chosen.setdefault(queue[rank], [])
    return dict(list(chosen.items())[:limit])


def _by_class(counts: np.ndarray) -> list[list[int]]:
    right = np.diagonal(counts, axis1=1, axis2=2)
    wrong = counts.sum(1) + counts.sum(2) - 2 * right
    return [_most(pixels) for pixels in wrong[:, :-1].T]


def _by_confusion(counts: np.ndarray) -> list[list[int]]:
    total = counts.sum(0)
    np.fill_diagonal(total, 0)
    cells = np.argsort(-total, axis=None, kind="stable")[: np.count_nonzero(total)]
    return [_most(counts[:, i, j])[:_PER_CONFUSION] for i, j in zip(*np.unravel_index(cells, total.shape))]


def _most(pixels: np.ndarray) -> list[int]:
    return np.argsort(-pixels, kind="stable")[: np.count_nonzero(pixels)].tolist()
