"""Connected areas where a prediction is not the label, ranked by how little the model believes the label: where labels may be wrong."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

LEAST_PIXELS = 10
"""Smaller areas are not looked at."""
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Disagreements:
    """Areas of one image, each of one label and one prediction, in the order of their first pixels; every array is ``[N]`` but for two.

    Attributes:
        labels: Class id of the label.
        preds: Class id of the prediction.
        areas: Pixels.
        confidence: Mean probability of the prediction.
        label_prob: Mean probability of the label.
        scores: Mean of the logarithm of the ratio of both, times the logarithm of the area.
        boxes_xyxy: Bounding boxes in pixels, right and bottom exclusive, ``[N, 4]``.
        parts: Which area each pixel is in, -1 for none, int32 ``[H, W]``.
    """

    labels: np.ndarray
    preds: np.ndarray
    areas: np.ndarray
    confidence: np.ndarray
    label_prob: np.ndarray
    scores: np.ndarray
    boxes_xyxy: np.ndarray
    parts: np.ndarray


def find_disagreements(
    labels: np.ndarray, preds: np.ndarray, wrong: np.ndarray, log_probs: np.ndarray, *, least_pixels: int = LEAST_PIXELS
) -> Disagreements:
    """Group the pixels whose prediction is not their label.

    Pixels are of one area where both label and prediction are the same and they touch, corners included. A confusion that runs through the
    whole image, such as the outline of every roof, so falls into pieces that can be looked at one by one.

    Args:
        labels: Class ids, integers ``[H, W]``.
        preds: Predicted class ids ``[H, W]``.
        wrong: Where the prediction is not the label, and the label counts; bool ``[H, W]``.
        log_probs: Logarithm of the probability of the prediction, and of the label, at the pixels of ``wrong`` in their order, ``[2, P]``.
        least_pixels: Smaller areas are left out.
    """
    y, x = np.nonzero(wrong)
    place = np.full(wrong.shape, -1, np.int32)
    place[y, x] = np.arange(len(y), dtype=np.int32)
    codes = np.where(wrong, labels.astype(np.int64) << 32 | preds.astype(np.int64), -1)
    ends = [_touching(place, codes, *step) for step in _NEIGHBOURS]
    first, second = (np.concatenate(side) for side in zip(*ends))
    graph = coo_matrix((np.ones(len(first), bool), (first, second)), shape=(len(y), len(y)))
    count, part = connected_components(graph, directed=False)
    areas = np.bincount(part, minlength=count)
    kept = np.flatnonzero(areas >= least_pixels)
    number = np.full(count, -1, np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    part = number[part]
    inside = part >= 0
    y, x, part, (pred_log, label_log) = y[inside], x[inside], part[inside], log_probs[:, inside]
    areas = areas[kept]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(part, weights=values, minlength=len(kept)) / areas

    parts = np.full(wrong.shape, -1, np.int32)
    parts[y, x] = part
    boxes = np.empty((len(kept), 4), np.int64)
    for column, values, sign in ((0, x, 1), (1, y, 1), (2, x, -1), (3, y, -1)):
        least = np.full(len(kept), np.iinfo(np.int64).max)
        np.minimum.at(least, part, sign * values)
        boxes[:, column] = least if sign == 1 else 1 - least
    one = np.empty(len(kept), np.int64)
    one[part] = np.arange(len(part))  # any pixel of each
    return Disagreements(
        labels[y[one], x[one]].astype(np.int64),
        preds[y[one], x[one]].astype(np.int64),
        areas,
        mean(np.exp(pred_log)),
        mean(np.exp(label_log)),
        mean(pred_log - label_log) * np.log(areas),
        boxes,
        parts,
    )


def _touching(place: np.ndarray, codes: np.ndarray, down: int, right: int) -> tuple[np.ndarray, np.ndarray]:
    """Places of the pixels that have the same code as their neighbour in one direction, and of these neighbours."""
    height, width = codes.shape
    here = slice(0, height - down), slice(max(0, -right), width - max(0, right))
    there = slice(down, height), slice(max(0, right), width - max(0, -right))
    same = (codes[here] == codes[there]) & (codes[here] >= 0)
    return place[here][same], place[there][same]


class Ranking(Generic[Item]):
    """The items of the highest scores, of any number that are offered; memory does not grow with their number.

    Args:
        size: How many to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._heap: list[tuple] = []
        self._offers = itertools.count()

    def offer(self, score: float, key: tuple, make: Callable[[], Item]) -> None:
        """Keep ``make()`` if the score is among the highest; of equal scores the smallest ``key`` wins, then what came first."""
        rank = (score, _Descending(key), -next(self._offers))
        if len(self._heap) < self.size:
            heapq.heappush(self._heap, (*rank, make()))
        elif self.size and rank > self._heap[0][:3]:
            heapq.heapreplace(self._heap, (*rank, make()))

    def merge(self, other: Ranking[Item]) -> None:
        """Take over the items of another ranking, those of a key that is here already excepted."""
        known = {entry[1] for entry in self._heap}
        for score, key, _, item in other._heap:
            if key not in known:
                self.offer(score, key.key, functools.partial(_same, item))

    def __iter__(self) -> Iterator[Item]:
        """Give the items, the highest score first."""
        return (item for *_, item in sorted(self._heap, key=lambda entry: entry[:3], reverse=True))


def _same(item: Item) -> Item:
    return item


@dataclass(frozen=True)
class _Descending:
    """A key whose order is turned around."""

    key: tuple

    def __lt__(self, other: _Descending) -> bool:
        return self.key > other.key
