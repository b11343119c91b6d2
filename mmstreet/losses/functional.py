"""Loss formulas on plain tensors, and the one place that decides what an ignored pixel is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmstreet.files.label_ids import check_label_ids

# Elements of one slab. On a CPU a slab and its few temporaries stay in the cache, yet each operation is long enough to be worth sharing
# out to the threads; an accelerator wants few, large kernels.
_CPU_SLAB_PER_THREAD = 2**19
_DEVICE_SLAB = 2**24


def check_shapes(logits: Tensor, labels: Tensor) -> None:
    """Refuse logits and labels that do not belong together.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]`` for sampled pixels.
        labels: Class ids, integer ``[B, H, W]``, or ``[B, N]``.

    Raises:
        ValueError: If a rank, a size or a type is not as above.
    """
    if logits.dim() < 3 or not logits.is_floating_point():
        raise ValueError(f"logits must be floating-point [B, C, H, W], got {logits.dtype} {list(logits.shape)}")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise ValueError(f"labels must be integer class ids, got {labels.dtype}")
    if labels.shape != logits.shape[:1] + logits.shape[2:]:
        raise ValueError(
            f"labels must be {[logits.shape[0], *logits.shape[2:]]} for logits {list(logits.shape)}, got {list(labels.shape)}; "
            "resize the logits to the labels before the loss"
        )


def split_ignored(labels: Tensor, *, num_classes: int, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Tell the valid pixels from the ignored ones; every loss of this package asks here.

    A pixel is ignored when its label is ``ignore_index`` and for no other reason. On an accelerator the check of the ids waits for the
    device once; mmseg's accuracy, computed next to every loss, waits in the same way.

    Args:
        labels: Class ids, integer, any shape; each in ``[0, num_classes)`` or ``ignore_index``.
        num_classes: Number of classes.
        ignore_index: Label of the pixels that give neither loss nor gradient.

    Returns:
        ``targets``, int64, shaped as ``labels``: the class ids, safe to index with (at ignored pixels some class, to be masked by
        ``valid``); and ``valid``, bool, the same shape.

    Raises:
        ValueError: If a label is neither a class nor ``ignore_index``; the message names it.
    """
    labels = labels.long()
    valid = labels != ignore_index
    targets = labels.clamp(0, num_classes - 1)
    stray = valid & (targets != labels)
    if stray.any():
        check_label_ids(labels, num_classes=num_classes, ignore_index=ignore_index)
    return targets, valid


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
    """Softmax focal loss plus ``dice_weight`` times the soft Dice loss.

    With ``p`` the softmax of the logits, ``y`` the label, ``w`` the class weights, and sums over all valid pixels of the batch::

        focal  = sum of  -w_y (1 - p_y)^gamma log p_y  / number of valid pixels
        dice_c = (2 sum of p_c [y = c] + eps) / (sum of p_c + number of pixels of c + eps)
        loss   = focal + dice_weight * (mean of 1 - dice_c over the classes c that occur in the labels and have w_c > 0)

    ``gamma=0, dice_weight=0`` is the cross entropy averaged over valid pixels. Class weights scale it; unlike ``F.cross_entropy``, the
    divisor stays the number of pixels.

    A class of weight zero gives no focal loss and has no Dice term of its own, but its pixels remain valid: a weighted class predicted on
    them is a false alarm and lowers that class's Dice. Without this a model with most weights at zero would have no reason not to paint
    its few classes over the whole scene. Pixels that should not count at all carry ``ignore_index``.

    The gradient is analytic and cannot be differentiated again. It is computed slab by slab, in float32 at least, from the softmax and one
    number per pixel, which are kept for it. Class and pixel weights are constants.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]`` for sampled pixels.
        labels: Class ids, integer ``[B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        class_weight: ``C`` numbers >= 0; ``None`` means 1 for every class.
        gamma: Focus on hard pixels, >= 0 (Lin et al., ICCV 2017).
        dice_weight: Factor of the Dice term, >= 0 (Milletari et al., 3DV 2016, with the plain sum in the denominator).
        ignore_index: Label of the pixels that give neither loss nor gradient.
        pixel_weight: ``[B, H, W]``, >= 0: a pixel of weight 2 counts as if it were there twice, one of weight 0 as if it were ignored.
        eps: Smoothing of the Dice ratio, >= 0.

    Returns:
        Scalar >= 0, float32 (float64 for float64 logits). Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes, label ids or settings are not as above.

    Example:
        >>> logits = torch.tensor([[[[0.0]], [[0.0]]]])
        >>> labels = torch.tensor([[[1]]])
        >>> focal_dice_loss(logits, labels, gamma=0.0, dice_weight=0.0)  # log 2
        tensor(0.6931)
        >>> focal_dice_loss(logits, labels, gamma=0.0, dice_weight=1.0)  # log 2 + 1 - 2 * 0.5 / (0.5 + 1)
        tensor(1.0265)
    """
    check_shapes(logits, labels)
    for name, value in (("gamma", gamma), ("dice_weight", dice_weight), ("eps", eps)):
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
    if pixel_weight is not None and pixel_weight.shape != labels.shape:
        raise ValueError(f"pixel_weight must be shaped as the labels, {list(labels.shape)}, got {list(pixel_weight.shape)}")
    num_classes = logits.shape[1]
    if class_weight is None:
        class_weight = [1.0] * num_classes
    dtype = torch.float64 if logits.dtype == torch.float64 else torch.float32
    weights = torch.as_tensor(class_weight, dtype=dtype, device=logits.device)
    if weights.shape != (num_classes,):
        raise ValueError(f"class_weight has {weights.numel()} entries, but the logits have {num_classes} classes")
    return _FocalDice.apply(logits, labels, weights, pixel_weight, gamma, dice_weight, ignore_index, eps)


def iter_slabs(logits: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut ``[B, C, N]`` into (images, pixels) slices: whole images while they fit, else stretches of one image."""
    images, channels, pixels = logits.shape
    budget = _CPU_SLAB_PER_THREAD * torch.get_num_threads() if logits.device.type == "cpu" else _DEVICE_SLAB
    stretch = max(1, budget // channels)
    group = max(1, stretch // max(1, pixels))
    for image in range(0, images, group):
        for pixel in range(0, pixels, stretch):
            yield slice(image, image + group), slice(pixel, pixel + stretch)


class _FocalDice(torch.autograd.Function):
    """Value and analytic gradient of :func:`focal_dice_loss`, slab by slab."""

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
