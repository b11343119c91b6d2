"""The same losses as in :mod:`mmstreet.losses.functional` and ``region_balance``, with an analytic gradient, for large images.

Each is computed slab by slab, in float32 at least: on a CPU a slab and its temporaries stay in the cache. Beside the logits there is one
map of their size, softmax first and gradient afterwards, where a graph keeps several. On an accelerator nothing waits for the device, and
no sum depends on the order in which threads come. The gradient cannot be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmstreet.losses.functional import (
    check_focal_dice,
    check_pixel_weight,
    check_shapes,
    check_stray,
    find_targets,
    is_valid,
    loss_dtype,
)
from mmstreet.losses.region_balance import Factor, balance_regions, check_present, stack_views
from mmstreet.readback import on_host

# Elements of one slab. On a CPU each operation is long enough to be worth sharing out to the threads; an accelerator wants few, large
# kernels.
_CPU_SLAB_PER_THREAD = 2**18
_DEVICE_SLAB = 2**22


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
    return measured_focal_dice(
        logits,
        labels,
        class_weight=class_weight,
        gamma=gamma,
        dice_weight=dice_weight,
        ignore_index=ignore_index,
        pixel_weight=pixel_weight,
        eps=eps,
    )[0]


def measured_focal_dice(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weight: Tensor | Sequence[float] | None = None,
    gamma: float = 2.0,
    dice_weight: float = 0.3,
    ignore_index: int = 255,
    pixel_weight: Tensor | None = None,
    eps: float = 1e-6,
) -> tuple[Tensor, Tensor]:
    """Compute :func:`focal_dice_loss` and, at almost no price, the share of valid pixels whose label has the highest score.

    Of equal scores each counts as the highest. Weights of pixels and classes do not enter the share; it is 0 without a valid pixel.
    """
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
    budget = _CPU_SLAB_PER_THREAD * torch.get_num_threads() if on_host(logits) else _DEVICE_SLAB
    stretch = max(1, budget // channels)
    stretch = -(-pixels // max(1, -(-pixels // stretch)))  # of one length, as nearly as they can be
    group = max(1, budget // max(1, channels * pixels))
    for image in range(0, images, group):
        for pixel in range(0, pixels, max(1, stretch)):
            yield slice(image, image + group), slice(pixel, pixel + stretch)


def _first_argmax(scores: Tensor) -> Tensor:
    """Find the first class of the highest score, ``[B, C, N]`` to ``[B, N]``."""
    num_classes = scores.shape[1]
    if not on_host(scores) or num_classes > 255:
        return scores.argmax(1)
    rank = torch.arange(num_classes, 0, -1, dtype=torch.uint8)[:, None]
    highest = ((scores == scores.amax(1, keepdim=True)) * rank).amax(1)
    return (num_classes - highest.long()).clamp_max(num_classes - 1)  # nan equals nothing


class _FocalDice(torch.autograd.Function):
    """Value and analytic gradient of :func:`measured_focal_dice`."""

    @staticmethod
    def forward(ctx, logits, labels, weights, pixel_weight, gamma, dice_weight, ignore_index, eps):
        scores, ids = logits.flatten(2), labels.flatten(1)
        num_classes, dtype = scores.shape[1], weights.dtype
        # Kept for the gradient, which takes its place; half precision has no room for it and softmaxes twice.
        kept = scores.new_empty(scores.shape) if logits.dtype == dtype and ctx.needs_input_grad[0] else None
        focal, right, labelled = weights.new_zeros(3)
        overlap, predicted, present = weights.new_zeros(3, num_classes)
        strays = [labels.new_zeros((), dtype=torch.bool)]
        for at in iter_slabs(scores):
            targets, valid, stray = find_targets(ids[at], num_classes=num_classes, ignore_index=ignore_index)
            strays.append(stray.any())
            valid = valid.to(dtype)
            count = valid if pixel_weight is None else valid * pixel_weight.flatten(1)[at].to(dtype)
            log_probs = scores[at[0], :, at[1]].to(dtype).log_softmax(1)
            log_p = log_probs.gather(1, targets[:, None])[:, 0]
            right += ((log_p == log_probs.amax(1)) * valid).sum()
            labelled += valid.sum()
            probs = torch.exp(log_probs, out=log_probs if kept is None else kept[at[0], :, at[1]])
            predicted += _sum_pixels(probs, count)
            p = log_p.exp()
            present += _sum_by_class(count, targets, num_classes)
            overlap += _sum_by_class(p * count, targets, num_classes)
            factor = p.neg_().add_(1).pow_(gamma).mul_(count).mul_(weights.index_select(0, targets.flatten()).view_as(p))
            focal -= (factor * log_p).sum()
        check_stray(labels, torch.stack(strays).any(), num_classes=num_classes, ignore_index=ignore_index)

        pixels = present.sum()
        pixels = torch.where(pixels > 0, pixels, 1)
        scored = (present > 0) & (weights > 0)
        share = dice_weight * scored.to(dtype) / scored.sum().clamp_min(1)
        size = predicted + present + eps
        size = torch.where(scored, size, 1)
        dice = (2 * overlap + eps) / size
        ctx.save_for_backward(
            kept if kept is not None else logits, labels, weights, pixel_weight, share * dice / size, -2 * share / size, 1 / pixels
        )
        ctx.settings, ctx.softmaxed, ctx.shape = (gamma, ignore_index), kept is not None, logits.shape
        accuracy = right / labelled.clamp_min(1)
        ctx.mark_non_differentiable(accuracy)
        return focal / pixels + (share * (1 - dice)).sum(), accuracy

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output, _):
        maps, labels, weights, pixel_weight, per_prob, per_hit, per_pixel = ctx.saved_tensors
        gamma, ignore_index = ctx.settings
        dtype, num_classes = weights.dtype, maps.shape[1]
        maps, ids = maps.flatten(2), labels.flatten(1)
        # d loss / d p_k = per_prob_k + per_hit_k [k = y] from Dice; the softmax turns d into p_k (d_k - sum_j p_j d_j)
        per_prob, per_hit, weights = per_prob * grad_output, per_hit * grad_output, weights * (per_pixel * grad_output)
        grad = maps if ctx.softmaxed and not _keeps_graph() else torch.empty_like(maps)
        for at in iter_slabs(maps):
            targets, valid, _ = find_targets(ids[at], num_classes=num_classes, ignore_index=ignore_index)
            valid, flat = valid.to(dtype), targets.flatten()
            count = valid if pixel_weight is None else valid * pixel_weight.flatten(1)[at].to(dtype)
            prob = maps[at[0], :, at[1]]
            if not ctx.softmaxed:
                prob = prob.to(dtype).softmax(1)
            p = prob.gather(1, targets[:, None])[:, 0]
            # d focal / d score_k = s ([k = y] - p_k) with s = w_y (gamma p (1-p)^(gamma-1) log p - (1-p)^gamma); log p / (1-p) is kept
            # finite where p rounds to 1, and p log p where it rounds to 0
            miss, tiny = 1 - p, torch.finfo(dtype).tiny
            factor = miss.pow(gamma).mul_(weights.index_select(0, flat).view_as(p))
            slope = p.clamp_min(tiny).log_().mul_(p).div_(miss.clamp_min_(tiny)).mul_(gamma).sub_(1).mul_(factor)
            hit = p.mul_(per_hit.index_select(0, flat).view_as(p)).add_(slope).mul_(count)
            mean = _sum_classes(prob, per_prob).mul_(count).add_(hit)
            step, piece = torch.addcmul(mean.neg_()[:, None], per_prob[:, None], count[:, None]), grad[at[0], :, at[1]]
            if ctx.softmaxed:
                _add_hits(torch.mul(prob, step, out=piece), targets, hit)
            else:
                piece.copy_(_add_hits(step.mul_(prob), targets, hit))
        return grad.view(ctx.shape), *[None] * 7


def _keeps_graph() -> bool:
    """Whether the present backward pass may be run again, so that what was saved for it must stay."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return ask is None or ask()


def _sum_pixels(maps: Tensor, weights: Tensor) -> Tensor:
    """Sum maps ``[B, C, N]`` over images and pixels with weights ``[B, N]``: ``[C]``."""
    if on_host(maps):
        with torch.autocast("cpu", enabled=False):
            return torch.bmm(maps, weights[:, :, None]).sum((0, 2))
    return (maps * weights[:, None]).sum((0, 2))  # a matrix product may round to TF32


def _sum_classes(maps: Tensor, weights: Tensor) -> Tensor:
    """Sum maps ``[B, C, N]`` over classes with weights ``[C]``: ``[B, N]``."""
    if on_host(maps):
        with torch.autocast("cpu", enabled=False):
            return torch.matmul(weights, maps)
    return (maps * weights[:, None]).sum(1)


def _sum_by_class(values: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Sum values ``[B, N]`` by the class of their pixel, ``[num_classes]``; on an accelerator without atomic additions."""
    if on_host(values):
        return values.new_zeros(num_classes).scatter_add_(0, targets.flatten(), values.flatten())
    classes = torch.arange(num_classes, device=targets.device)[:, None]
    return torch.where(targets[:, None] == classes, values[:, None], 0).sum((0, 2))


def _add_hits(maps: Tensor, targets: Tensor, hits: Tensor) -> Tensor:
    """Add ``hits [B, N]`` to maps ``[B, C, N]`` at the class of each pixel, in place."""
    if on_host(maps):
        return maps.scatter_add_(1, targets[:, None], hits[:, None])
    classes = torch.arange(maps.shape[1], device=targets.device)[:, None]
    return maps.add_(torch.where(targets[:, None] == classes, hits[:, None], 0))


class _CrossEntropyMaps(torch.autograd.Function):
    """Value and analytic gradient of :func:`cross_entropy_maps`."""

    @staticmethod
    def forward(ctx, logits, labels, ignore_index):
        scores, ids = logits.flatten(2), labels.flatten(2)
        dtype = loss_dtype(logits)
        normalizer = scores.new_empty(ids.shape[1:], dtype=dtype)  # log of the softmax's denominator
        losses, strays = scores.new_zeros(ids.shape, dtype=dtype), [labels.new_zeros((), dtype=torch.bool)]
        for at in iter_slabs(scores):
            score = scores[at[0], :, at[1]].to(dtype)
            top = score.amax(1)
            total = (score - top[:, None]).exp_().sum(1).log_().add_(top)
            normalizer[at] = total
            for k in range(len(ids)):
                targets, valid, stray = find_targets(ids[k][at], num_classes=scores.shape[1], ignore_index=ignore_index)
                strays.append(stray.any())
                loss = total - score.gather(1, targets[:, None])[:, 0]
                losses[k][at] = loss.masked_fill_(~valid, 0)
        check_stray(labels, torch.stack(strays).any(), num_classes=scores.shape[1], ignore_index=ignore_index)
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
                _add_hits(piece, id_map.long().clamp(0, scores.shape[1] - 1), -slope)
            grad[at[0], :, at[1]] = piece
        return grad.view(logits.shape), None, None
