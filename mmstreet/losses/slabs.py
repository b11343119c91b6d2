"""Losses slab by slab for large images: how maps are cut and summed, and the losses of ``region_balance`` with an analytic gradient.

A slab is computed in float32 at least; on a CPU it and its temporaries stay in the cache. On an accelerator nothing waits for the
device, and no sum depends on the order in which threads come. The gradient cannot be differentiated again.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmstreet.losses.functional import check_shapes, check_stray, find_targets, is_valid, loss_dtype
from mmstreet.losses.region_balance import Factor, balance_regions, check_present, stack_views
from mmstreet.readback import on_host

# Elements of one slab. On a CPU each operation is long enough to be worth sharing out to the threads; an accelerator wants few, large
# kernels.
_CPU_SLAB_PER_THREAD = 2**18
_DEVICE_SLAB = 2**24


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


def sum_pixels(maps: Tensor, weights: Tensor) -> Tensor:
    """Sum maps ``[B, C, N]`` over images and pixels with weights ``[B, N]``: ``[C]``."""
    if on_host(maps):
        with torch.autocast("cpu", enabled=False):
            return torch.bmm(maps, weights[:, :, None]).sum((0, 2))
    return (maps * weights[:, None]).sum((0, 2))  # a matrix product may round to TF32


def sum_classes(maps: Tensor, weights: Tensor) -> Tensor:
    """Sum maps ``[B, C, N]`` over classes with weights ``[C]``: ``[B, N]``."""
    if on_host(maps):
        with torch.autocast("cpu", enabled=False):
            return torch.matmul(weights, maps)
    return (maps * weights[:, None]).sum(1)


def sum_by_class(values: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Sum values ``[B, N]`` by the class of their pixel, ``[num_classes]``; on an accelerator without atomic additions."""
    if on_host(values):
        return values.new_zeros(num_classes).scatter_add_(0, targets.flatten(), values.flatten())
    classes = torch.arange(num_classes, device=targets.device)[:, None]
    return torch.where(targets[:, None] == classes, values[:, None], 0).sum((0, 2))


def add_hits(maps: Tensor, targets: Tensor, hits: Tensor) -> Tensor:
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
                strays.append(stray)
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
                add_hits(piece, id_map.long().clamp(0, scores.shape[1] - 1), -slope)
            grad[at[0], :, at[1]] = piece
        return grad.view(logits.shape), None, None
