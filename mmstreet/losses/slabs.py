"""The same losses as in :mod:`mmstreet.losses.functional` and ``region_balance``, with an analytic gradient, for large images.

Each is computed slab by slab, in float32 at least: on a CPU a slab and its temporaries stay in the cache. Forward keeps the softmax or
less, where a graph keeps several maps of that size. The gradient cannot be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmstreet.losses.functional import check_focal_dice, check_pixel_weight, check_shapes, is_valid, loss_dtype, split_ignored
from mmstreet.losses.region_balance import Factor, balance_regions, check_present, stack_views

# Elements of one slab. On a CPU each operation is long enough to be worth sharing out to the threads; an accelerator wants few, large
# kernels.
_CPU_SLAB_PER_THREAD = 2**19
_DEVICE_SLAB = 2**24


def focal_dice_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weight: Tensor | Sequence[float] | None = None,
    gamma: float = 2.0,
    dice_weight: float = 0.3,
    ignore_index: int = 255,
    pixel_weight: Tensor | None = None,
    eps: float = 1e-6,
) -> Tensor:
    """Compute :func:`mmstreet.losses.functional.focal_dice_loss`; arguments, value and errors are the same."""
    check_shapes(logits, labels)
    weights = check_focal_dice(logits, class_weight, gamma=gamma, dice_weight=dice_weight, eps=eps)
    check_pixel_weight(labels, pixel_weight)
    return _FocalDice.apply(logits, labels, weights, pixel_weight, gamma, dice_weight, ignore_index, eps)


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
    """Compute :func:`mmstreet.losses.region_balance.carb_loss` in one pass over the logits; arguments, value and errors are the same."""
    check_shapes(logits, labels)
    views = stack_views(labels, local_labels, local_offset_yx, ignore_index=ignore_index)
    preds = predict_present(logits, present)
    return balance_regions(
        cross_entropy_maps(logits, views, ignore_index=ignore_index), views, preds, factor=factor, ignore_index=ignore_index
    )


def cross_entropy_maps(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Compute :func:`mmstreet.losses.region_balance.cross_entropy_maps`; the softmax is normalised once for all maps."""
    for label_map in labels:
        check_shapes(logits, label_map)
    return _CrossEntropyMaps.apply(logits, labels, ignore_index)


def predict_present(logits: Tensor, present: Tensor | None = None) -> Tensor:
    """Compute :func:`mmstreet.losses.region_balance.predict_present`; on a CPU several times as fast as ``argmax``."""
    absent = None if present is None else ~check_present(logits, present)[:, :, None]
    scores = logits.detach().flatten(2)
    ids = scores.new_empty(scores.shape[0], scores.shape[2], dtype=torch.int64)
    for at in iter_slabs(scores):
        score = scores[at[0], :, at[1]]
        ids[at] = _first_argmax(score if absent is None else score.masked_fill(absent[at[0]], -torch.inf))
    return ids.view(len(logits), *logits.shape[2:])


def iter_slabs(logits: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut ``[B, C, N]`` into (images, pixels) slices: whole images while they fit, else stretches of one image."""
    images, channels, pixels = logits.shape
    budget = _CPU_SLAB_PER_THREAD * torch.get_num_threads() if logits.device.type == "cpu" else _DEVICE_SLAB
    stretch = max(1, budget // channels)
    group = max(1, stretch // max(1, pixels))
    for image in range(0, images, group):
        for pixel in range(0, pixels, stretch):
            yield slice(image, image + group), slice(pixel, pixel + stretch)


def _first_argmax(scores: Tensor) -> Tensor:
    """Find the first class of the highest score, ``[B, C, N]`` to ``[B, N]``."""
    num_classes = scores.shape[1]
    if scores.device.type != "cpu" or num_classes > 255:
        return scores.argmax(1)
    rank = torch.arange(num_classes, 0, -1, dtype=torch.uint8)[:, None]
    highest = ((scores == scores.amax(1, keepdim=True)) * rank).amax(1)
    return (num_classes - highest.long()).clamp_max(num_classes - 1)  # nan equals nothing


class _FocalDice(torch.autograd.Function):
    """Value and analytic gradient of :func:`focal_dice_loss`."""

    @staticmethod
    def forward(ctx, logits, labels, weights, pixel_weight, gamma, dice_weight, ignore_index, eps):
        scores, ids = logits.flatten(2), labels.flatten(1)
        num_classes, dtype = scores.shape[1], weights.dtype
        probs = scores.new_empty(scores.shape, dtype=dtype)  # 0 at ignored pixels
        slope = scores.new_empty(ids.shape, dtype=dtype)  # s in: d focal / d score_k = s ([k = y] - p_k) / pixels
        focal = weights.new_zeros(())
        overlap, predicted, present = weights.new_zeros(3, num_classes)
        for at in iter_slabs(scores):
            targets, valid = split_ignored(ids[at], num_classes=num_classes, ignore_index=ignore_index)
            flat = targets.flatten()
            valid = valid.to(dtype)
            count = valid if pixel_weight is None else valid * pixel_weight.flatten(1)[at].to(dtype)
            score, prob = scores[at[0], :, at[1]].to(dtype), probs[at[0], :, at[1]]
            torch.sub(score, score.amax(1, keepdim=True), out=prob)  # exp cannot overflow
            log_p = prob.gather(1, targets[:, None])[:, 0]
            total = prob.exp_().sum(1)
            log_p -= total.log()
            prob *= (valid / total)[:, None]
            predicted += (prob if pixel_weight is None else prob * count[:, None]).sum((0, 2))
            p = log_p.exp()
            overlap.scatter_add_(0, flat, (p * count).flatten())
            present.scatter_add_(0, flat, count.flatten())
            miss = 1 - p
            factor = miss.pow(gamma).mul_(count).mul_(weights.index_select(0, flat).view_as(p))
            focal -= (factor * log_p).sum()
            # gamma p (1-p)^(gamma-1) log p - (1-p)^gamma, with log p / (1-p) kept finite where p rounds to 1
            log_p.mul_(p).div_(miss.clamp_min_(torch.finfo(dtype).tiny)).mul_(gamma).sub_(1)
            torch.mul(log_p, factor, out=slope[at])

        pixels = present.sum()
        pixels = torch.where(pixels > 0, pixels, 1)
        scored = (present > 0) & (weights > 0)
        share = dice_weight * scored.to(dtype) / scored.sum().clamp_min(1)
        size = predicted + present + eps
        size = torch.where(scored, size, 1)
        dice = (2 * overlap + eps) / size
        ctx.save_for_backward(labels, pixel_weight, probs, slope, share * dice / size, -2 * share / size, 1 / pixels)
        ctx.like = logits.shape, logits.dtype
        return focal / pixels + (share * (1 - dice)).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        labels, pixel_weight, probs, slope, per_prob, per_hit, per_pixel = ctx.saved_tensors
        # d loss / d p_k = per_prob_k + per_hit_k [k = y] from Dice; the softmax turns d into p_k (d_k - sum_j p_j d_j)
        per_prob, per_hit, per_pixel = (per_prob * grad_output)[:, None], per_hit * grad_output, per_pixel * grad_output
        ids, grad = labels.flatten(1), torch.empty_like(probs)
        for at in iter_slabs(probs):
            targets = ids[at].long().clamp(0, probs.shape[1] - 1)  # checked in forward; ignored pixels have p = slope = 0
            prob = probs[at[0], :, at[1]]
            hit = prob.gather(1, targets[:, None])[:, 0].mul_(per_hit.index_select(0, targets.flatten()).view_as(targets))
            step = prob * per_prob
            if pixel_weight is not None:
                count = pixel_weight.flatten(1)[at].to(prob.dtype)
                hit *= count
                step *= count[:, None]
            hit += slope[at] * per_pixel
            mean = step.sum(1).add_(hit)
            piece = torch.addcmul(step, prob, mean[:, None], value=-1, out=grad[at[0], :, at[1]])
            piece.scatter_add_(1, targets[:, None], hit[:, None])
        shape, dtype = ctx.like
        return grad.view(shape).to(dtype), *[None] * 7


class _CrossEntropyMaps(torch.autograd.Function):
    """Value and analytic gradient of :func:`cross_entropy_maps`."""

    @staticmethod
    def forward(ctx, logits, labels, ignore_index):
        scores, ids = logits.flatten(2), labels.flatten(2)
        dtype = loss_dtype(logits)
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
            masked = [(slope[at].masked_fill(~is_valid(id_map[at], ctx.ignore_index), 0), id_map[at]) for slope, id_map in zip(slopes, ids)]
            piece *= sum(slope for slope, _ in masked)[:, None]
            for slope, id_map in masked:  # checked in forward; ignored pixels have slope 0
                piece.scatter_add_(1, id_map.long().clamp(0, scores.shape[1] - 1)[:, None], -slope[:, None])
            grad[at[0], :, at[1]] = piece
        return grad.view(logits.shape), None, None
