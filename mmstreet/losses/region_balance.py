"""CARB's loss on plain tensors: pseudo-labels split where the network agrees, a mean cross entropy for each region, their balance.

Source: Kim, Lee, Choe, Shim, *Weakly Supervised Semantic Segmentation for Driving Scenes*, AAAI 2024. :mod:`mmstreet.losses.slabs` has the
same loss in one pass over the logits.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from mmstreet.losses.functional import check_shapes, is_valid, loss_dtype, split_ignored

Factor = float | Tensor | Callable[[Tensor, Tensor], Tensor | None] | None
"""λ; None or nan, for regions that are not told apart; or what gives any of these from the whole view's region sums and pixels, ``[2]``."""


def carb_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    factor: Factor,
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
        factor: λ, the weight of inconsistent regions, >= 0. ``None``, or nan on the device, is the warm-up: the mean cross entropy of all
            valid pixels. A function is called with the sums and the pixels of the whole view's regions, ``[2]`` each, consistent first, and
            returns any of these.
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
    losses = cross_entropy_maps(logits, views, ignore_index=ignore_index)
    return balance_regions(losses, views, predict_present(logits, present), factor=factor, ignore_index=ignore_index)


def cross_entropy_maps(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Compute the cross entropy of every pixel against several label maps.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        labels: Class ids of ``K`` maps, integer ``[K, B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        ignore_index: Label of the pixels that give neither loss nor gradient.

    Returns:
        Float32 (float64 for float64 logits) ``[K, B, H, W]``; 0 at ignored pixels.

    Raises:
        ValueError: If shapes or label ids are not as above.
    """
    log_probs = F.log_softmax(logits.to(loss_dtype(logits)), 1)
    maps = []
    for label_map in labels:
        check_shapes(logits, label_map)
        targets, valid = split_ignored(label_map, num_classes=logits.shape[1], ignore_index=ignore_index)
        maps.append(-log_probs.gather(1, targets[:, None])[:, 0].where(valid, 0))
    return torch.stack(maps)


def predict_present(logits: Tensor, present: Tensor | None = None) -> Tensor:
    """Predict the class of each pixel among the classes that the image shows; of equal scores the first.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        present: Which classes each image shows, bool ``[B, C]``; ``None`` allows every class.

    Returns:
        Class ids, int64 ``[B, H, W]``. For an image that shows no class they mean nothing.

    Raises:
        ValueError: If ``present`` is not shaped ``[B, C]``.
    """
    if present is None:
        return logits.detach().argmax(1)
    return logits.detach().masked_fill(~check_present(logits, present)[:, :, None, None], -torch.inf).argmax(1)


def check_present(logits: Tensor, present: Tensor) -> Tensor:
    """Refuse classes of images that are not shaped ``[B, C]``, and return them as bool on the device of the logits."""
    if tuple(present.shape) != tuple(logits.shape[:2]):
        raise ValueError(f"present must be [B, C] = {list(logits.shape[:2])}, one place per class, got {list(present.shape)}")
    return present.to(logits.device).bool()


def balance_regions(losses: Tensor, labels: Tensor, preds: Tensor, *, factor: Factor, ignore_index: int = 255) -> Tensor:
    """Weigh the mean losses of consistent and inconsistent pixels, summed over the views.

    Args:
        losses: Loss of each pixel, float ``[K, B, H, W]``; 0 at ignored pixels.
        labels: Pseudo-labels of ``K`` views, integer ``[K, B, H, W]``.
        preds: Predicted class ids, int64 ``[B, H, W]``.
        factor: See :func:`carb_loss`.
        ignore_index: Label of the pixels that belong to no region.

    Returns:
        Scalar.
    """
    agree, valid = labels == preds, is_valid(labels, ignore_index)
    sums = torch.stack([losses.masked_fill(~agree, 0).flatten(1).sum(1), losses.masked_fill(agree, 0).flatten(1).sum(1)], 1)  # [K, 2]
    pixels = torch.stack([(agree & valid).flatten(1).sum(1), (~agree & valid).flatten(1).sum(1)], 1)
    if callable(factor):
        factor = factor(sums[0].detach(), pixels[0])
    whole = region_means(sums.sum(1), pixels.sum(1)).sum()
    if factor is None:
        return whole
    consistent, inconsistent = region_means(sums, pixels).sum(0)
    if not torch.is_tensor(factor):
        return consistent + factor * inconsistent
    apart = ~factor.isnan()
    return torch.where(apart, consistent + torch.where(apart, factor, 0) * inconsistent, whole)


def region_means(sums: Tensor, pixels: Tensor) -> Tensor:
    """Divide sums over regions by their pixels; an empty region is 0."""
    return sums / pixels.clamp_min(1)


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


def stack_views(labels: Tensor, local_labels: Tensor | None, offset_yx: tuple[int, int], *, ignore_index: int = 255) -> Tensor:
    """Stack the labels of the whole view and, if there is one, of the patch: integer ``[1 or 2, B, H, W]``."""
    if local_labels is None:
        return labels[None]
    return torch.stack([labels, place_patch(local_labels.to(labels.dtype), offset_yx, tuple(labels.shape[1:]), fill=ignore_index)])


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
