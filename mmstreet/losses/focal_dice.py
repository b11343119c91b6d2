"""The focal and Dice loss with an analytic gradient, for large images, and the accuracy that it knows on the way.

Beside the logits there is one map of their size, exponentials first and gradient afterwards, where a graph keeps several;
:mod:`mmstreet.losses.functional` has the plain form, and tests hold the two equal. See :mod:`mmstreet.losses.slabs`. For large float32
maps on a CPU :mod:`mmstreet.losses.focal_dice_numba` does the same in compiled loops, where numba is installed (extra ``fast``).
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mmstreet.deps import installed, require
from mmstreet.losses.functional import check_focal_dice, check_pixel_weight, check_shapes, check_stray, find_targets, known_targets
from mmstreet.losses.slabs import add_hits, iter_slabs, sum_by_class, sum_classes, sum_pixels
from mmstreet.readback import on_host

COMPILED_FROM = 2**20
"""Numbers in the logits from which a CPU uses compiled loops: a crop of 512×512 with 4 classes."""
_LOOPS = "mmstreet.losses.focal_dice_numba"


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


class _FocalDice(torch.autograd.Function):
    """Value and analytic gradient of :func:`measured_focal_dice`."""

    @staticmethod
    def forward(ctx, logits, labels, weights, pixel_weight, gamma, dice_weight, ignore_index, eps):
        scores, ids = logits.flatten(2), labels.flatten(1)
        num_classes, dtype = scores.shape[1], weights.dtype
        loops = _compiled_loops(logits)
        # Kept for the gradient, which takes its place; half precision has no room for it and exponentiates twice.
        kept = scores.new_empty(scores.shape) if logits.dtype == dtype and ctx.needs_input_grad[0] and loops is None else None
        totals, by_class, strays = weights.new_zeros(3), weights.new_zeros(3, num_classes), labels.new_zeros((), dtype=torch.bool)
        if loops is not None:
            totals, by_class, strays = loops.measure(logits, labels, weights, pixel_weight, gamma, ignore_index)
        for at in iter_slabs(scores) if loops is None else ():
            count = None if pixel_weight is None else pixel_weight.flatten(1)[at].to(dtype)
            piece = None if kept is None else kept[at[0], :, at[1]]
            strays |= _measure_slab(scores[at[0], :, at[1]], ids[at], count, weights, gamma, ignore_index, totals, by_class, piece)
        check_stray(labels, strays, num_classes=num_classes, ignore_index=ignore_index)

        (focal, right, labelled), (overlap, predicted, present) = totals, by_class
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
        ctx.settings, ctx.kept, ctx.loops, ctx.shape = (gamma, ignore_index), kept is not None, loops, logits.shape
        accuracy = right / labelled.clamp_min(1)
        ctx.mark_non_differentiable(accuracy)
        return focal / pixels + (share * (1 - dice)).sum(), accuracy

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output, _):
        maps, labels, weights, pixel_weight, per_prob, per_hit, per_pixel = ctx.saved_tensors
        gamma, ignore_index = ctx.settings
        # d loss / d p_k = per_prob_k + per_hit_k [k = y] from Dice; the softmax turns d into p_k (d_k - sum_j p_j d_j)
        per_prob, per_hit, weights = per_prob * grad_output, per_hit * grad_output, weights * (per_pixel * grad_output)
        if ctx.loops is not None:
            grad = ctx.loops.differentiate(maps, labels, weights, pixel_weight, per_prob, per_hit, gamma, ignore_index)
            return grad, *[None] * 7
        maps, ids = maps.flatten(2), labels.flatten(1)
        grad, steps = maps if ctx.kept and not _keeps_graph() else torch.empty_like(maps), None
        for at in iter_slabs(maps):
            piece = maps[at[0], :, at[1]]
            if steps is None:  # one for all slabs: the first is the largest, and new memory costs more than the arithmetic
                steps = torch.empty(piece.shape, dtype=weights.dtype, device=piece.device)
            step = steps[: len(piece), :, : piece.shape[2]]
            exps = piece if ctx.kept else _exponentiate(piece.to(weights.dtype))[0]
            count = None if pixel_weight is None else pixel_weight.flatten(1)[at].to(weights.dtype)
            _differentiate_slab(exps, ids[at], count, weights, per_prob, per_hit, gamma, ignore_index, step, grad[at[0], :, at[1]])
        return grad.view(ctx.shape), *[None] * 7


def _compiled_loops(logits: Tensor) -> ModuleType | None:
    """Return the compiled loops where they apply: at sizes at which they save more than it takes to load them."""
    fits = logits.dtype == torch.float32 and logits.numel() >= COMPILED_FROM and on_host(logits) and logits.is_contiguous()
    return require(_LOOPS, extra="fast") if fits and installed("numba") else None


def _measure_slab(score, ids, count, weights, gamma, ignore_index, totals, by_class, kept) -> Tensor:
    """Add focal loss, right and valid pixels to ``totals``, overlap, predicted and true pixels to ``by_class``; whether an id is stray.

    A function of its own, so that its temporaries are gone before the next slab; the exponentials of :func:`_exponentiate` go to ``kept``.
    """
    dtype, num_classes = weights.dtype, len(weights)
    targets, valid, stray = find_targets(ids, num_classes=num_classes, ignore_index=ignore_index)
    valid = valid.to(dtype)
    count = valid if count is None else count * valid
    score = score.to(dtype)
    exps, top = _exponentiate(score, out=kept)
    log_p = score.gather(1, targets[:, None])[:, 0].sub_(top)
    right = ((log_p == 0) * valid).sum()
    total = exps.sum(1)
    log_p -= total.log()
    p, flat = log_p.exp(), targets.flatten()
    by_class += torch.stack(
        [sum_by_class(p * count, targets, num_classes), sum_pixels(exps, count / total), sum_by_class(count, targets, num_classes)]
    )
    factor = p.neg_().add_(1).pow_(gamma).mul_(count).mul_(weights.index_select(0, flat).view_as(p))
    totals += torch.stack([-(factor.mul_(log_p)).sum(), right, valid.sum()])
    return stray


def _exponentiate(score: Tensor, out: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the softmax of scores ``[B, C, N]`` without its denominator, and the highest scores ``[B, N]``, whose exponential is 1."""
    top = score.amax(1)
    return torch.sub(score, top[:, None], out=out).exp_(), top


def _differentiate_slab(exps, ids, count, weights, per_prob, per_hit, gamma, ignore_index, step, grad) -> None:
    """Write the gradient of a slab into ``grad``, which may be ``exps`` itself; ``step`` is memory to work in."""
    dtype, num_classes = weights.dtype, len(weights)
    targets, valid = known_targets(ids, num_classes=num_classes, ignore_index=ignore_index)
    count = valid.to(dtype) if count is None else count * valid
    total = exps.sum(1)
    p, flat = exps.gather(1, targets[:, None])[:, 0].div_(total), targets.flatten()
    # d focal / d score_k = s ([k = y] - p_k) with s = w_y (gamma p (1-p)^(gamma-1) log p - (1-p)^gamma); log p / (1-p) is kept finite
    # where p rounds to 1, and p log p where it rounds to 0
    miss, tiny = 1 - p, torch.finfo(dtype).tiny
    factor = miss.pow(gamma).mul_(weights.index_select(0, flat).view_as(p))
    slope = p.clamp_min(tiny).log_().mul_(p).div_(miss.clamp_min_(tiny)).mul_(gamma).sub_(1).mul_(factor)
    hit = p.mul_(per_hit.index_select(0, flat).view_as(p)).add_(slope).mul_(count)
    count = count.div_(total)
    mean = torch.addcmul(hit, sum_classes(exps, per_prob), count).div_(total)
    torch.addcmul(mean.neg_()[:, None], per_prob[:, None], count[:, None], out=step)
    if grad.dtype == dtype:
        add_hits(torch.mul(exps, step, out=grad), targets, hit)
    else:
        grad.copy_(add_hits(step.mul_(exps), targets, hit))


def _keeps_graph() -> bool:
    """Whether the present backward pass may be run again, so that what was saved for it must stay."""
    ask = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", None)
    return ask is None or ask()
