"""Losses on the overlap of a predicted and a true region, class by class: Lovász-Softmax and the Jaccard metric losses."""

from __future__ import annotations

import torch
from torch import Tensor

from mmstreet.losses.functional import check_pixel_weight, flatten_pixels, loss_dtype, mean_of, one_hot
from mmstreet.readback import on_host


def lovasz_softmax_loss(logits: Tensor, labels: Tensor, *, ignore_index: int = 255, pixel_weight: Tensor | None = None) -> Tensor:
    """Lovász-Softmax loss (Berman et al., CVPR 2018), averaged over the classes present in the batch.

    With errors ``e = |[y = c] - p_c|`` of all valid pixels of the batch in descending order, the loss of class ``c`` is the inner product
    of ``e`` and the gradient of the Lovász extension of the Jaccard loss. At one-hot predictions it is one minus the IoU.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]`` for sampled pixels.
        labels: Class ids, integer ``[B, H, W]`` or ``[B, N]``, each in ``[0, C)`` or ``ignore_index``.
        ignore_index: Label of pixels that give neither loss nor gradient.
        pixel_weight: ``[B, H, W]``, >= 0: a pixel of weight 2 counts as if it were there twice, one of weight 0 as if it were ignored.

    Returns:
        Scalar in ``[0, 1]``. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes or label ids are not as above.
    """
    log_probs, targets, counts = flatten_pixels(logits, labels, pixel_weight, ignore_index=ignore_index)
    probs, losses = log_probs.exp(), []
    present = torch.stack([((targets == c) & (counts > 0)).any() for c in range(logits.shape[1])])
    for c in range(logits.shape[1]):
        hits = (targets == c).to(probs.dtype)
        errors = (hits - probs[:, c]).abs()
        if on_host(present) and not present[c]:
            losses.append(log_probs[:0].sum())
            continue
        order = errors.detach().argsort(descending=True, stable=True)
        steps = torch.empty_like(hits)
        steps[order] = _jaccard_steps(hits[order], counts[order])
        losses.append((errors * steps).sum())  # autocast would run a dot product in half precision
    return mean_of(torch.stack(losses), present)


def _jaccard_steps(hits: Tensor, counts: Tensor) -> Tensor:
    """Return how much each pixel adds to the Jaccard loss, in the order of the errors, ``[N]``; a class without a pixel adds nothing."""
    inside, outside = hits * counts, (1 - hits) * counts
    total = inside.sum()
    jaccard = 1 - (total - inside.cumsum(0)) / (total + outside.cumsum(0)).clamp_min(torch.finfo(hits.dtype).tiny)
    return torch.cat([jaccard[:1], jaccard.diff()])


def soft_jaccard_loss(
    logits: Tensor, labels: Tensor, *, form: int = 1, ignore_index: int = 255, pixel_weight: Tensor | None = None
) -> Tensor:
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
        pixel_weight: ``[B, H, W]``, >= 0: a pixel of weight 2 counts as if it were there twice, one of weight 0 as if it were ignored.

    Returns:
        Scalar in ``[0, 1]``. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes, label ids or ``form`` are not as above.
    """
    if form not in (1, 2):
        raise ValueError(f"form must be 1 or 2, got {form!r}")
    if labels.is_floating_point():
        probs, targets, counts = _soft_pixels(logits, labels, pixel_weight)
    else:
        log_probs, ids, counts = flatten_pixels(logits, labels, pixel_weight, ignore_index=ignore_index)
        probs, targets = log_probs.exp(), one_hot(ids, logits.shape[1], log_probs.dtype)
    counts = counts[:, None]
    present = (counts * targets).sum(0) > 0
    difference = (counts * (probs - targets).abs()).sum(0)
    if form == 1:
        sizes = (counts * (probs + targets)).sum(0)
        overlap = (sizes - difference) / (sizes + difference).clamp_min(torch.finfo(probs.dtype).tiny)
    else:
        product = (counts * probs * targets).sum(0)
        overlap = product / (product + difference).clamp_min(torch.finfo(probs.dtype).tiny)
    return mean_of(1 - overlap, present)


def _soft_pixels(logits: Tensor, shares: Tensor, pixel_weight: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return probabilities and soft labels of all pixels, ``[P, C]``, and how often each counts ``[P]``; without a label 0 times."""
    if shares.shape != logits.shape:
        raise ValueError(f"soft labels must be shaped as the logits, {list(logits.shape)}, got {list(shares.shape)}")
    valid = shares.sum(1) > 0
    check_pixel_weight(valid, pixel_weight)
    scores, targets = (x.to(loss_dtype(logits)).masked_fill(~valid[:, None], 0).movedim(1, -1).flatten(0, -2) for x in (logits, shares))
    counts = valid.to(scores) if pixel_weight is None else torch.where(valid, pixel_weight, 0).to(scores)
    return scores.softmax(1), targets, counts.flatten()
