"""The class of the highest score at the size of an image, without the scores of every class at that size.

Bilinear scores of a pixel are means of those of four neighbours. Where one class wins at all four, it wins at the pixel too, since means
keep the order. So scores are taken to the size of the image only where the four disagree, along the borders of regions. The labels are
those of ``first_argmax(interpolate(scores))`` at every pixel: where two scores are as near to each other as rounding could move them,
the maps of these classes are resized in torch's own order. Where numba is installed (extra ``fast``), a process that has labelled
:data:`COMPILED_FROM` pixels goes on with :mod:`mmstreet.models.label_resizing_numba`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.models import EncoderDecoder
from mmseg.models.segmentors import BaseSegmentor
from torch import Tensor, nn

from mmstreet.deps import installed, require
from mmstreet.files.argmax import first_argmax

COMPILED_FROM = 2**25
"""Pixels that a process labels before it loads the compiled loops: 36 images of 1280×720. Loading takes half a second, and compiling them
two more, once on a machine."""
_LOOPS = "mmstreet.models.label_resizing_numba"
_labelled = Counter()

_ROUNDING = 6 / 2**24
"""What rounding of float32 can move a score by, per unit of the largest of its four neighbours: at most six times half a unit in the last
place, in torch's order of the sum as in those here."""
_DENSE_FROM, _ENLARGED_FROM, _CLASSES_FROM = 0.2, 3, 8
"""Resizing everything takes less time from this share of disputed pixels on, and below these numbers of new pixels for an old one and of
classes."""

_FEW, _SMALL = 4, 128
"""Of fewer channels torch rounds in another order. Up to this sum of height and width, and where channels lie last in memory, it takes
several channels at a time, and a channel's order depends on its place."""


def label_resized(scores: Tensor, size_hw: tuple[int, int], *, align_corners: bool = False) -> np.ndarray:
    """Return ``first_argmax`` of scores that ``torch.nn.functional.interpolate`` has resized bilinearly.

    Args:
        scores: Finite, ``[C, h, w]``, on the CPU; ``C`` from 1 to 256.
        size_hw: Height and width of the image.
        align_corners: As in torch.

    Returns:
        uint8 ``[H, W]``.
    """
    scores = scores.detach()
    if scores.shape[1:] == size_hw:
        return first_argmax(scores.float().numpy())
    found, loops = None, _compiled_loops(size_hw[0] * size_hw[1])
    enlarged = size_hw[0] * size_hw[1] / (scores.shape[1] * scores.shape[2])
    if scores.dtype == torch.float32 and (loops or (enlarged > _ENLARGED_FROM and len(scores) >= _CLASSES_FROM)):
        maps = np.ascontiguousarray(scores.numpy())
        tolerance = 4 * _ROUNDING * float(max(maps.max(), -maps.min()))  # two scores, each by torch and here
        sides = [_neighbours(old, new, align_corners) for old, new in zip(maps.shape[1:], size_hw, strict=True)]
        found = loops.label_by_rows(maps, tolerance, *sides) if loops else _label_by_borders(maps, tolerance, *sides)
    if found is None or len(found[1]) > _DENSE_FROM * found[0].size:
        return first_argmax(_resize(scores, size_hw, align_corners))
    labels, near = found
    if len(near):
        near, rivals = _undecided(maps, *sides, near)
    if len(near):
        if sum(size_hw) <= _SMALL or scores[None].is_contiguous(memory_format=torch.channels_last):
            rivals = np.arange(len(scores))
        exact = _resize(scores if len(rivals) == len(scores) else scores[rivals], size_hw, align_corners).reshape(len(rivals), -1)
        labels.reshape(-1)[near] = rivals[first_argmax(exact[:, near])]
    return labels


def _compiled_loops(pixels: int) -> ModuleType | None:
    """Return the compiled loops where they pay: a process that has labelled many pixels will label more."""
    _labelled["pixels"] += pixels
    return require(_LOOPS, extra="fast") if _labelled["pixels"] > COMPILED_FROM and installed("numba") else None


def _resize(scores: Tensor, size_hw: tuple[int, int], align_corners: bool) -> np.ndarray:
    return F.interpolate(scores[None], size_hw, mode="bilinear", align_corners=align_corners)[0].float().numpy()


def _undecided(maps: np.ndarray, rows: Neighbours, columns: Neighbours, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return those of some pixels whose highest scores torch's rounding could exchange, and their classes, at least :data:`_FEW`."""
    y, x = np.divmod(near, len(columns.first))
    corners = np.array([[maps[:, i, j] for j in columns.pair(x)] for i in rows.pair(y)], np.float64)
    scores = np.einsum("ijkn,in,jn->kn", corners, rows.shares(y), columns.shares(x))
    rounding = _ROUNDING * np.abs(corners).max((0, 1))
    competes = scores + rounding >= (scores - rounding).max(0)
    undecided = competes.sum(0) > 1
    is_rival = competes[:, undecided].any(1)
    is_rival[np.flatnonzero(~is_rival)[: max(0, _FEW - is_rival.sum())]] = True
    return near[undecided], np.flatnonzero(is_rival)


def _label_by_borders(maps: np.ndarray, tolerance: float, rows: Neighbours, columns: Neighbours) -> tuple[np.ndarray, np.ndarray] | None:
    """Do what ``label_by_rows`` of the compiled loops does, or return None if too many pixels are disputed."""
    winner, lead = _winner_and_lead(maps)
    split = ~_agree(winner) | _spread(lead <= tolerance)
    labels, disputed = (x.take(rows.first, 0).take(columns.first, 1) for x in (winner, split))
    places = np.flatnonzero(disputed)
    if len(places) > _DENSE_FROM * disputed.size:
        return None
    winner, lead = _winner_and_lead(_scores_at(maps, np.flatnonzero(split), rows, columns, *np.divmod(places, len(columns.first))))
    labels.reshape(-1)[places] = winner
    return labels, places[lead <= tolerance]


def _scores_at(maps: np.ndarray, cells: np.ndarray, rows: Neighbours, columns: Neighbours, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the bilinear scores of some pixels, float32 ``[C, N]``, up to rounding.

    Args:
        maps: Scores, float32 ``[C, h, w]``.
        cells: The old positions, flat, that are the first neighbours of these pixels: their four scores are read once.
        rows: Neighbours of all rows.
        columns: Neighbours of all columns.
        y: Rows of the pixels.
        x: Columns of the pixels.
    """
    height, width = maps.shape[1:]
    top, left = np.divmod(cells, width)
    below, right = np.minimum(top + 1, height - 1), np.minimum(left + 1, width - 1)
    corners = [
        maps.reshape(len(maps), -1).take(at, 1).T for at in (cells, top * width + right, below * width + left, below * width + right)
    ]
    number = np.zeros(height * width, np.intp)
    number[cells] = np.arange(len(cells))
    cell = number.take(rows.first[y] * width + columns.first[x])
    across, down = columns.weight[x], rows.weight[y]
    shares = ((1 - down) * (1 - across), (1 - down) * across, down * (1 - across), down * across)
    mixed = np.zeros((len(cell), len(maps)), np.float32)
    for corner, share in zip(corners, shares):
        part = np.ascontiguousarray(corner).take(cell, 0)
        part *= share[:, None]
        mixed += part
    return np.ascontiguousarray(mixed.T)


def _winner_and_lead(maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of the highest score, uint8 ``[h, w]``, and by how much it leads over all others."""
    best, winner = maps[0].copy(), np.zeros(maps.shape[1:], np.uint8)
    second = np.full_like(best, -np.inf)
    for k, score in enumerate(maps[1:], 1):
        np.copyto(winner, k, where=score > best)
        np.maximum(second, np.minimum(best, score), out=second)
        np.maximum(best, score, out=best)
    return winner, best - second


def _agree(winner: np.ndarray) -> np.ndarray:
    """Whether pixel, right, lower and lower right neighbour are of one class; beyond the edge the neighbour is the pixel itself."""
    alike = np.ones(winner.shape, bool)
    alike[:, :-1] = winner[:, :-1] == winner[:, 1:]
    down = np.ones(winner.shape, bool)
    down[:-1] = winner[:-1] == winner[1:]
    alike[:-1] &= alike[1:]
    return alike & down


def _spread(near: np.ndarray) -> np.ndarray:
    """Whether the pixel or one of those three neighbours is true."""
    if not near.any():
        return near
    near = near.copy()
    near[:, :-1] |= near[:, 1:]
    near[:-1] |= near[1:]
    return near


def finishes_as_mmseg(model: nn.Module) -> bool:
    """Whether a segmentor makes label maps of its scores as mmseg does, by no method of its own."""
    kind = type(model)
    if not isinstance(model, EncoderDecoder):
        return False
    return kind.predict is EncoderDecoder.predict and kind.postprocess_result is BaseSegmentor.postprocess_result


def without_padding(scores: Tensor, meta: Mapping) -> Tensor:
    """Cut the padding of a sample from its scores ``[C, H, W]``, as mmseg does."""
    left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0, 0, 0, 0)))
    return scores[:, top : scores.shape[1] - bottom, left : scores.shape[2] - right]


class Neighbours(NamedTuple):
    """The first and second old position beside each new one along a side, int64 ``[new]``, and the weight of the second."""

    first: np.ndarray
    second: np.ndarray
    weight: np.ndarray

    def pair(self, at: np.ndarray) -> np.ndarray:
        """Both old positions of some new ones, ``[2, N]``."""
        return np.stack([self.first[at], self.second[at]])

    def shares(self, at: np.ndarray) -> np.ndarray:
        """Their weights, as torch rounds them, ``[2, N]``."""
        return np.stack([1 - self.weight[at], self.weight[at]])


@functools.lru_cache(maxsize=16)
def _neighbours(old: int, new: int, align_corners: bool) -> Neighbours:
    """Read the weights off what torch makes of one unit per old position, so that they are its own to the last bit."""
    units = F.interpolate(torch.eye(old)[None, :, :, None], (new, 1), mode="bilinear", align_corners=align_corners)[0, :, :, 0].numpy()
    first = (units > 0).argmax(0)
    second = np.minimum(first + 1, old - 1)
    return Neighbours(first, second, np.where(second > first, units[second, np.arange(new)], np.float32(0)))
