"""CARB's loss on plain tensors: pseudo-labels split where the network agrees, one cross-entropy pass for all regions, their balance.

Source: Kim, Lee, Choe, Shim, *Weakly Supervised Semantic Segmentation for Driving Scenes*, AAAI 2024, and its published code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmstreet.losses.functional import check_shapes, iter_slabs, split_ignored


def predict_present(logits: Tensor, present: Tensor | None = None, *, published: bool = False) -> Tensor:
    """Predict the class of each pixel among the classes that the image shows.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        present: Which classes each image shows, bool ``[B, C]``; ``None`` allows every class.
        published: Multiply the scores by 0 or 1 as the published code does: an absent class then wins wherever all present ones score
            below zero.

    Returns:
        Class ids, int64 ``[B, H, W]``. For an image that shows no class they mean nothing.

    Raises:
        ValueError: If ``present`` is not shaped ``[B, C]``.
    """
    if present is not None and tuple(present.shape) != tuple(logits.shape[:2]):
        raise ValueError(f"present must be [B, C] = {list(logits.shape[:2])}, one place per class, got {list(present.shape)}")
    scores = logits.detach().flatten(2)
    if present is not None:
        present = present.to(scores.device).bool()[:, :, None]
    ids = scores.new_empty(scores.shape[0], scores.shape[2], dtype=torch.int64)
    for at in iter_slabs(scores):
        score = scores[at[0], :, at[1]]
        if present is not None:
            score = score * present[at[0]] if published else score.masked_fill(~present[at[0]], -torch.inf)
        ids[at] = _first_argmax(score)
    return ids.view(len(logits), *logits.shape[2:])


def _first_argmax(scores: Tensor) -> Tensor:
    """Find the first class of the highest score, ``[B, C, N]`` to ``[B, N]``; on a CPU several times as fast as ``argmax``."""
    num_classes = scores.shape[1]
    if scores.device.type != "cpu" or num_classes > 255:
        return scores.argmax(1)
    rank = torch.arange(num_classes, 0, -1, dtype=torch.uint8)[:, None]
    highest = ((scores == scores.amax(1, keepdim=True)) * rank).amax(1)
    return (num_classes - highest.long()).clamp_max(num_classes - 1)  # nan equals nothing


def cross_entropy_maps(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Compute the cross entropy of every pixel against several label maps in one pass over the logits.

    The softmax is normalised once for all maps. Forward keeps one number per pixel besides the logits; backward computes the gradient
    slab by slab, in float32 at least, and cannot be differentiated again.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        labels: Class ids of ``K`` maps, integer ``[K, B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        ignore_index: Label of the pixels that give neither loss nor gradient.

    Returns:
        Float32 (float64 for float64 logits) ``[K, B, H, W]``; 0 at ignored pixels.

    Raises:
        ValueError: If shapes or label ids are not as above.
    """
    for label_map in labels:
        check_shapes(logits, label_map)
    return _CrossEntropyMaps.apply(logits, labels, ignore_index)


class _CrossEntropyMaps(torch.autograd.Function):
    """Value and analytic gradient of :func:`cross_entropy_maps`, slab by slab."""

    @staticmethod
    def forward(ctx, logits, labels, ignore_index):
        scores, ids = logits.flatten(2), labels.flatten(2)
        dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
        normalizer = scores.new_empty(ids.shape[1:], dtype=dtype)  # log of the softmax's denominator
        losses = scores.new_zeros(ids.shape, dtype=dtype)
        for at in iter_slabs(scores):
            score = scores[at[0], :, at[1]].to(dtype)
            top = score.amax(1)
            total = (score - top[:, None]).exp_().sum(1).log_().add_(top)
            normalizer[at] = total
            for k in range(len(ids)):
                targets, valid = split_ignored(ids[k][at], num_classes=scores.shape[1], ignore_index=ignore_index)
                loss = total - score.gather(1, targets[:, None])[:, 0]
                losses[k][at] = loss.masked_fill_(~valid, 0)
        ctx.save_for_backward(logits, labels, normalizer)
        ctx.ignore_index = ignore_index
        return losses.view(labels.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        logits, labels, normalizer = ctx.saved_tensors
        scores, ids, slopes = logits.flatten(2), labels.flatten(2), grad_output.flatten(2)
        grad = torch.empty_like(scores)
        for at in iter_slabs(scores):
            piece = (scores[at[0], :, at[1]] - normalizer[at][:, None]).exp_()  # the softmax
            masked = [(slope[at].masked_fill(id_map[at] == ctx.ignore_index, 0), id_map[at]) for slope, id_map in zip(slopes, ids)]
            piece *= sum(slope for slope, _ in masked)[:, None]
            for slope, id_map in masked:  # checked in forward; ignored pixels have slope 0
                piece.scatter_add_(1, id_map.long().clamp(0, scores.shape[1] - 1)[:, None], -slope[:, None])
            grad[at[0], :, at[1]] = piece
        return grad.view(logits.shape), None, None


def place_patch(patch: Tensor, offset_yx: tuple[int, int], size_hw: tuple[int, int], *, fill: int = 255) -> Tensor:
    """Put the labels of a patch into a map of the whole view.

    Args:
        patch: Class ids, integer ``[B, h, w]``.
        offset_yx: Upper left corner of the patch in the view, px.
        size_hw: Height and width of the view, px.
        fill: Label around the patch.

    Raises:
        ValueError: If the patch reaches out of the view.
    """
    (y, x), (height, width) = offset_yx, patch.shape[1:]
    if not (0 <= y <= size_hw[0] - height and 0 <= x <= size_hw[1] - width):
        raise ValueError(f"a patch of {height}x{width} px at y={y}, x={x} does not lie in a view of {size_hw[0]}x{size_hw[1]} px")
    whole = patch.new_full((len(patch), *size_hw), fill)
    whole[:, y : y + height, x : x + width] = patch
    return whole


def region_sums(logits: Tensor, labels: Tensor, preds: Tensor, *, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Sum the cross entropy where the network agrees with the pseudo-labels and where it does not.

    A valid pixel is *consistent* when ``preds`` equals its label, else *inconsistent*.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        labels: Pseudo-labels of ``K`` views, integer ``[K, B, H, W]``.
        preds: Predicted class ids, int64 ``[B, H, W]``, see :func:`predict_present`.
        ignore_index: Label of the pixels that belong to no region.

    Returns:
        ``sums``, float ``[K, 2]``, and ``pixels``, int64 ``[K, 2]``: consistent first. An empty region has sum 0, attached to the graph.

    Raises:
        ValueError: If shapes or label ids are not as above.
    """
    losses = cross_entropy_maps(logits, labels, ignore_index=ignore_index)
    agree, valid = labels == preds, labels != ignore_index
    sums = [losses.masked_fill(~agree, 0), losses.masked_fill(agree, 0)]  # ignored pixels are 0 already
    pixels = [agree & valid, ~agree & valid]
    return torch.stack([x.flatten(1).sum(1) for x in sums], 1), torch.stack([x.flatten(1).sum(1) for x in pixels], 1)


def region_means(sums: Tensor, pixels: Tensor, *, published: bool = False) -> Tensor:
    """Divide region sums by their pixels, float ``[K, 2]``; an empty region is 0 (``published``: nan, as a mean of nothing)."""
    return sums / (pixels if published else pixels.clamp_min(1))


def balance_factor(queue: Tensor, length: int | Tensor, *, coeff: float = 1.0, limit: float = 10.0) -> Tensor:
    """Compute λ, the factor of the inconsistent regions that makes their loss as large as that of the consistent ones.

    ``λ = coeff · mean(consistent) / mean(inconsistent)`` over the entries of the queue, the denominator at least 1e-6 and λ at most
    ``limit``. An empty queue gives ``coeff``.

    Args:
        queue: Mean losses of the latest steps, float ``[2, N]``; consistent first, the newest last.
        length: How many of the last columns are filled.
        coeff: Ratio of the two terms after the balance, inconsistent to consistent.
        limit: Largest λ.

    Returns:
        Scalar without a graph.

    Example:
        >>> balance_factor(torch.tensor([[0.0, 0.2], [0.0, 2.0]]), 1)
        tensor(0.1000)
    """
    filled = torch.arange(queue.shape[1], device=queue.device) >= queue.shape[1] - torch.as_tensor(length, device=queue.device)
    consistent, inconsistent = (queue.detach() * filled).sum(1) / filled.sum().clamp_min(1)
    factor = (coeff * consistent / inconsistent.clamp_min(1e-6)).clamp(0, limit)
    return torch.where(filled.any(), factor, torch.full_like(factor, coeff))


def carb_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    factor: float | Tensor,
    present: Tensor | None = None,
    local_labels: Tensor | None = None,
    local_offset_yx: tuple[int, int] = (0, 0),
    ignore_index: int = 255,
) -> Tensor:
    """Consistency-aware region balancing: mean cross entropy of consistent pixels plus ``factor`` times that of inconsistent ones.

    A pixel is consistent when the network, choosing among the classes that the image shows, predicts its pseudo-label. With a patch
    the same sum over the patch is added, from the same logits and the patch's own pseudo-labels.

    Args:
        logits: Raw scores of the whole view, float ``[B, C, H, W]``.
        labels: Its pseudo-labels, integer ``[B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        factor: λ, the weight of inconsistent regions, >= 0.
        present: Which classes each image shows, bool ``[B, C]``; ``None`` allows every class.
        local_labels: Pseudo-labels of a patch of the view, integer ``[B, h, w]``.
        local_offset_yx: Upper left corner of the patch, px.
        ignore_index: Label of the pixels that give neither loss nor gradient.

    Returns:
        Scalar >= 0, float32 (float64 for float64 logits). Zero, still attached to the graph, when no pixel is valid; an empty region
        gives 0.

    Raises:
        ValueError: If shapes or label ids are not as above.

    Example:
        >>> logits = torch.tensor([[[[2.0, 0.0]], [[0.0, 2.0]]]])  # predicts 0, then 1
        >>> carb_loss(logits, torch.tensor([[[0, 0]]]), factor=0.1)  # log(1 + e^-2) + 0.1 log(1 + e^2)
        tensor(0.3396)
    """
    check_shapes(logits, labels)
    views = stack_views(labels, local_labels, local_offset_yx, ignore_index=ignore_index)
    sums, pixels = region_sums(logits, views, predict_present(logits, present), ignore_index=ignore_index)
    consistent, inconsistent = region_means(sums, pixels).sum(0)
    return consistent + factor * inconsistent


def stack_views(labels: Tensor, local_labels: Tensor | None, offset_yx: tuple[int, int], *, ignore_index: int = 255) -> Tensor:
    """Stack the labels of the whole view and, if there is one, of the patch: integer ``[1 or 2, B, H, W]``."""
    if local_labels is None:
        return labels[None]
    return torch.stack([labels, place_patch(local_labels.to(labels.dtype), offset_yx, tuple(labels.shape[1:]), fill=ignore_index)])
