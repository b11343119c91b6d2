"""The sampled pixels of :mod:`mmstreet.models.hypercolumn` for an accelerator: a batch at a time, and nothing waits for the device.

How many pixels are labelled is known on the device alone, so every size here is fixed: random keys are drawn for all pixels, and the
highest keys are taken. The samples have the distribution of the functions named in the docstrings, not their random numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_IDS = 256


def sample_uniform_batch(labels: Tensor, num: int, *, ignore_index: int = 255) -> Tensor:
    """Sample labelled pixels as :func:`~mmstreet.models.hypercolumn.sample_uniform` does.

    Args:
        labels: Class ids, int64 ``[B, N]``, each in ``[0, 256)``.
        num: Number of pixels to sample of each image.
        ignore_index: Label of pixels that are never sampled, unless an image has no others.

    Returns:
        Indices into ``N``, int64 ``[B, num]``.
    """
    valid = labels != ignore_index
    return _highest(_keys(valid), valid.sum(1), num)


def sample_class_balanced_batch(labels: Tensor, num: int, *, ignore_index: int = 255) -> Tensor:
    """Sample labelled pixels as :func:`~mmstreet.models.hypercolumn.sample_class_balanced` does; see :func:`sample_uniform_batch`."""
    valid, (batch, pixels) = labels != ignore_index, labels.shape
    ids = torch.where(valid, labels, _IDS)
    counts = torch.zeros(batch, _IDS + 1, dtype=torch.int64, device=labels.device).scatter_add_(1, ids, torch.ones_like(ids))
    starts, counts = (counts.cumsum(1) - counts)[:, :_IDS], counts[:, :_IDS]
    classes = (counts > 0).sum(1, keepdim=True).clamp_min(1)
    order = (ids + torch.rand(ids.shape, dtype=torch.float64, device=ids.device)).argsort(1)  # by class, within a class at random
    rank = torch.empty_like(ids).scatter_(1, order, torch.arange(pixels, device=ids.device).expand_as(order))
    rank -= starts.gather(1, ids.clamp_max(_IDS - 1))
    many = _highest(_keys(valid) + (valid & (rank < num // classes)), valid.sum(1), num)
    # fewer labelled pixels than the sample: equal shares of the classes, each with replacement
    turns = _keys(counts > 0).argsort(1, descending=True).gather(1, torch.arange(num, device=ids.device) % classes)
    few = order.gather(1, starts.gather(1, turns) + _below(counts.gather(1, turns)))
    return torch.where(valid.sum(1, keepdim=True) < num, few, many)


def sample_hard_batch(
    labels: Tensor, num: int, score: Callable[[Tensor], Tensor], *, oversample: int = 3, share: float = 0.75, ignore_index: int = 255
) -> Tensor:
    """Sample labelled pixels as :func:`~mmstreet.models.hypercolumn.sample_hard` does; see :func:`sample_uniform_batch`.

    Args:
        labels: Class ids, int64 ``[B, N]``.
        num: Number of pixels to sample of each image.
        score: Maps indices int64 ``[B, K]`` to how hard each pixel is, float ``[B, K]``.
        oversample: Candidates per pixel sampled.
        share: Part of the sample that is chosen by score.
        ignore_index: Label of pixels that are never sampled, unless an image has no others.
    """
    valid = labels != ignore_index
    known, top = valid.sum(1), int(share * num)
    candidates = _keys(valid).topk(min(max(num, oversample * num), labels.shape[1]), 1).indices
    usable = valid.gather(1, candidates)
    order = torch.where(usable, score(candidates).double(), -torch.inf).argsort(1, descending=True)
    easier = _keys(usable.gather(1, order)[:, top:]).topk(min(num, order.shape[1]) - min(top, order.shape[1]), 1).indices + top
    chosen = candidates.gather(1, order.gather(1, torch.cat([torch.arange(top, device=order.device).expand(len(order), -1), easier], 1)))
    return torch.where(known[:, None] < num, _highest(_keys(valid), known, num), chosen)


def _keys(valid: Tensor) -> Tensor:
    """Draw a number in ``[0, 1)`` for every place that is valid; the others get -1."""
    return torch.where(valid, torch.rand(valid.shape, dtype=torch.float64, device=valid.device), -1)


def _below(limits: Tensor) -> Tensor:
    """Draw whole numbers from 0 to below the limits; 0 where a limit is 0."""
    drawn = (torch.rand(limits.shape, dtype=torch.float64, device=limits.device) * limits).long()
    return torch.minimum(drawn, limits - 1).clamp_min(0)


def _highest(keys: Tensor, known: Tensor, num: int) -> Tensor:
    """Return the places of the ``num`` highest keys; of an image with fewer ``known`` ones, these with replacement."""
    order = keys.topk(min(num, keys.shape[1]), 1).indices
    known = known[:, None].expand(-1, num)
    straight = torch.arange(num, device=keys.device).clamp_max(order.shape[1] - 1)
    return order.gather(1, torch.where(known < num, _below(known), straight))
