"""Losses on the overlap of a predicted and a true region, class by class: Lovász-Softmax and the Jaccard metric losses."""

from __future__ import annotations

import torch
from torch import Tensor

from mmstreet.losses.functional import check_shapes, split_ignored


def lovasz_softmax_loss(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Lovász-Softmax loss (Berman et al., CVPR 2018), averaged over the classes present in the batch.

    With errors ``e = |[y = c] - p_c|`` of all valid pixels of the batch in descending order, the loss of class ``c`` is the inner product
    of ``e`` and the gradient of the Lovász extension of the Jaccard loss. At one-hot predictions it is one minus the IoU.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]`` for sampled pixels.
        labels: Class ids, integer ``[B, H, W]`` or ``[B, N]``, each in ``[0, C)`` or ``ignore_index``.
        ignore_index: Label of pixels that give neither loss nor gradient.

    Returns:
        Scalar in ``[0, 1]``. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes or label ids are not as above.
    """
    probs, hits = _valid_pixels(logits, labels, ignore_index)
    losses = []
    for c in hits.any(0).nonzero().flatten().tolist():
        errors, order = (hits[:, c].to(probs.dtype) - probs[:, c]).abs().sort(descending=True)
        losses.append(errors @ _jaccard_steps(hits[order, c].to(probs.dtype)))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def _jaccard_steps(hits: Tensor) -> Tensor:
    """Return how much each pixel adds to the Jaccard loss, in the order of the errors, ``[N]``."""
    total = hits.sum()
    jaccard = 1 - (total - hits.cumsum(0)) / (total + (1 - hits).cumsum(0))
    return torch.cat([jaccard[:1], jaccard.diff()])


def soft_jaccard_loss(logits: Tensor, labels: Tensor, *, form: int = 1, ignore_index: int = 255) -> Tensor:
    """Jaccard metric loss (Wang et al., NeurIPS 2023), averaged over the classes present in the batch.

    With L1 norms over all valid pixels of the batch, ``p`` the probabilities and ``y`` the labels of a class::

        form 1:  1 - (|p| + |y| - |p - y|) / (|p| + |y| + |p - y|)
        form 2:  1 - |p y| / (|p y| + |p - y|)

    Both equal the soft Jaccard loss on hard labels. On soft labels they differ, and both have their minimum at ``p = y``.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]``.
        labels: Class ids, integer ``[B, H, W]`` or ``[B, N]``, each in ``[0, C)`` or ``ignore_index``; or soft labels, float shaped as the
            logits, which sum to 1 at valid pixels and to 0 at ignored ones.
        form: 1 or 2.
        ignore_index: Label of pixels that give neither loss nor gradient.

    Returns:
        Scalar in ``[0, 1]``. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes, label ids or ``form`` are not as above.
    """
    if form not in (1, 2):
        raise ValueError(f"form must be 1 or 2, got {form!r}")
    if labels.is_floating_point():
        probs, targets = _soft_pixels(logits, labels)
    else:
        probs, targets = _valid_pixels(logits, labels, ignore_index)
        targets = targets.to(probs.dtype)
    present = targets.sum(0) > 0
    difference = (probs - targets).abs().sum(0)
    if form == 1:
        sizes = probs.sum(0) + targets.sum(0)
        overlap = (sizes - difference) / (sizes + difference).clamp_min(torch.finfo(probs.dtype).tiny)
    else:
        product = (probs * targets).sum(0)
        overlap = product / (product + difference).clamp_min(torch.finfo(probs.dtype).tiny)
    return (1 - overlap)[present].mean() if present.any() else logits.sum() * 0


def _valid_pixels(logits: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Return probabilities and one-hot labels of the valid pixels, float and bool ``[N, C]``, in float32 at least."""
    check_shapes(logits, labels)
    num_classes = logits.shape[1]
    targets, valid = split_ignored(labels.flatten(), num_classes=num_classes, ignore_index=ignore_index)
    scores = logits.flatten(2).transpose(1, 2).reshape(-1, num_classes)[valid]
    probs = scores.to(torch.promote_types(scores.dtype, torch.float32)).softmax(1)
    return probs, torch.nn.functional.one_hot(targets[valid], num_classes).bool()


def _soft_pixels(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    if labels.shape != logits.shape:
        raise ValueError(f"soft labels must be shaped as the logits, {list(logits.shape)}, got {list(labels.shape)}")
    num_classes = logits.shape[1]
    flat = [x.flatten(2).transpose(1, 2).reshape(-1, num_classes) for x in (logits, labels)]
    valid = flat[1].sum(1) > 0
    return flat[0][valid].to(torch.promote_types(logits.dtype, torch.float32)).softmax(1), flat[1][valid]
