"""Where classes meet: targets for a head that learns boundaries, and its loss."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from mmstreet.losses.functional import is_valid


def boundary_targets(labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Mark the pixels with a neighbour of another class.

    Args:
        labels: Class ids, integer ``[B, H, W]``.
        ignore_index: Label of ignored pixels; they are no neighbour and stay ignored.

    Returns:
        int64 ``[B, H, W]``: 1 where one of the four neighbours is valid and of another class, 0 elsewhere, ``ignore_index`` at
        ignored pixels.

    Example:
        >>> boundary_targets(torch.tensor([[[0, 0, 1], [0, 255, 1], [2, 2, 1]]])).tolist()
        [[[0, 1, 1], [1, 255, 0], [1, 1, 1]]]
    """
    valid = is_valid(labels, ignore_index)
    edge = torch.zeros_like(valid)
    for axis in (1, 2):
        size = labels.shape[axis] - 1
        before, behind = labels.narrow(axis, 0, size), labels.narrow(axis, 1, size)
        differ = (before != behind) & valid.narrow(axis, 0, size) & valid.narrow(axis, 1, size)
        edge.narrow(axis, 0, size).logical_or_(differ)
        edge.narrow(axis, 1, size).logical_or_(differ)
    return torch.where(valid, edge.long(), ignore_index)


def boundary_loss(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Binary cross entropy of a boundary map, averaged over the valid pixels.

    The boundary-aware auxiliary term of the published version of the six-class street study: one logit per pixel, target
    :func:`boundary_targets`.

    Args:
        logits: Raw score that a pixel lies on a boundary, float ``[B, 1, H, W]``.
        labels: Class ids, integer ``[B, H, W]``.
        ignore_index: Label of pixels that give neither loss nor gradient.

    Returns:
        Scalar >= 0. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If the sizes differ or there is not one channel.
    """
    if logits.dim() != 4 or logits.shape[1] != 1 or logits.shape[:1] + logits.shape[2:] != labels.shape:
        raise ValueError(f"boundary logits must be [B, 1, H, W] for labels {list(labels.shape)}, got {list(logits.shape)}")
    targets = boundary_targets(labels, ignore_index=ignore_index)
    valid = is_valid(targets, ignore_index)
    # Ignored pixels are replaced, not left out: how many there are, only the device knows.
    scores, hits = (torch.where(valid, x, 0).float() for x in (logits[:, 0], targets))
    losses = F.binary_cross_entropy_with_logits(scores, hits, reduction="none")
    return torch.where(valid, losses, 0).sum() / valid.sum().clamp_min(1)
