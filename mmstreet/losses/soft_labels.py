"""Labels at a coarser resolution without loss of thin things: the share of each class in a cell, and a cross entropy with it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mmstreet.losses.functional import check_focal_dice, check_shapes, loss_dtype, one_hot, split_ignored


def class_shares(labels: Tensor, *, num_classes: int, cell_px: int, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Resize labels by area: which share of a cell's valid pixels each class has.

    Args:
        labels: Class ids, integer ``[B, H, W]``, each in ``[0, num_classes)`` or ``ignore_index``.
        num_classes: Number of classes ``C``.
        cell_px: Side of a cell; those at the right and lower border may be smaller.
        ignore_index: Label of pixels that count for no class.

    Returns:
        Shares, float32 ``[B, C, h, w]``, which sum to 1, or to 0 where no pixel is valid; and the valid pixels of each cell, ``[B, h, w]``.

    Raises:
        ValueError: If a label id is not as above, or ``cell_px`` is below 1.

    Example:
        >>> shares, valid = class_shares(torch.tensor([[[0, 1], [1, 255]]]), num_classes=2, cell_px=2)
        >>> shares.flatten(), valid.flatten()
        (tensor([0.3333, 0.6667]), tensor([3.]))
    """
    targets, mask = split_ignored(labels, num_classes=num_classes, ignore_index=ignore_index)
    hits = one_hot(targets, num_classes, torch.float32).permute(0, 3, 1, 2) * mask[:, None]
    counts = _cell_sums(hits, cell_px)
    valid = counts.sum(1)
    return counts / valid.clamp_min(1)[:, None], valid


def soft_label_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    cell_px: int = 4,
    class_weight: Tensor | Sequence[float] | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Cross entropy of cells with the class shares of their labels, averaged over the valid pixels.

    With ``t`` the shares of a cell, ``n`` its valid pixels, ``w`` the class weights and ``p`` the softmax of the mean of its logits over
    these pixels, the loss is the sum of ``-n w_c t_c log p_c`` over cells and classes, divided by the sum of ``n``. With cells of one pixel
    it is the cross entropy averaged over valid pixels.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        labels: Class ids, integer ``[B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        cell_px: Side of a cell.
        class_weight: ``C`` numbers >= 0; ``None`` means 1 for every class.
        ignore_index: Label of pixels that give neither loss nor gradient.

    Returns:
        Scalar >= 0. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes, label ids or settings are not as above.
    """
    check_shapes(logits, labels)
    weights = check_focal_dice(logits, class_weight)
    shares, valid = class_shares(labels, num_classes=logits.shape[1], cell_px=cell_px, ignore_index=ignore_index)
    scores = logits.to(loss_dtype(logits)).masked_fill((labels == ignore_index)[:, None], 0)
    log_probs = (_cell_sums(scores, cell_px) / valid.clamp_min(1)[:, None]).log_softmax(1)
    losses = -(shares * weights[:, None, None] * log_probs).sum(1) * valid
    return losses.sum() / valid.sum().clamp_min(1)


def _cell_sums(maps: Tensor, cell_px: int) -> Tensor:
    if cell_px < 1:
        raise ValueError(f"cell_px must be >= 1, got {cell_px}")
    return F.avg_pool2d(maps, cell_px, ceil_mode=True, divisor_override=1)
