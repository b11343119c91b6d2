"""Loss formulas on plain tensors, as few lines of torch as they take, and the one place that decides what an ignored pixel is.

:mod:`mmstreet.losses.focal_dice` and ``slabs`` have the same functions with an analytic gradient; tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mmstreet.files.label_ids import check_label_ids
from mmstreet.readback import check_later, to_device


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


def check_pixel_weight(labels: Tensor, pixel_weight: Tensor | None) -> None:
    """Refuse weights of pixels that are not shaped as the labels."""
    if pixel_weight is not None and pixel_weight.shape != labels.shape:
        raise ValueError(f"pixel_weight must be shaped as the labels, {list(labels.shape)}, got {list(pixel_weight.shape)}")


def is_valid(labels: Tensor, ignore_index: int) -> Tensor:
    """Return which pixels count, bool: a label of ``ignore_index``, and nothing else, means ignored. All losses ask here."""
    return labels != ignore_index


def split_ignored(labels: Tensor, *, num_classes: int, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Tell the valid pixels from the ignored ones, and check the ids of the valid ones.

    Within :meth:`mmstreet.readback.Watch.step` no accelerator is waited for: a stray id counts as ignored, and raises in the next step.

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
    targets, valid, stray = find_targets(labels, num_classes=num_classes, ignore_index=ignore_index)
    check_stray(labels, stray, num_classes=num_classes, ignore_index=ignore_index)
    return targets, valid


def find_targets(labels: Tensor, *, num_classes: int, ignore_index: int = 255) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``targets`` and ``valid`` as :func:`split_ignored` does, and whether any label is stray, bool; nothing is checked."""
    targets, valid = known_targets(labels, num_classes=num_classes, ignore_index=ignore_index)
    return targets, valid, valid.sum() != is_valid(labels.long(), ignore_index).sum()


def known_targets(labels: Tensor, *, num_classes: int, ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """Return ``targets`` and ``valid`` as :func:`split_ignored` does, for labels that have been looked at before."""
    labels = labels.long()
    targets = labels.clamp(0, num_classes - 1)
    valid = targets == labels
    return targets, valid & is_valid(labels, ignore_index) if 0 <= ignore_index < num_classes else valid


def check_stray(labels: Tensor, any_stray: Tensor, *, num_classes: int, ignore_index: int = 255) -> None:
    """Refuse labels of which some are stray, as :func:`split_ignored` says."""
    check_later(any_stray, lambda: check_label_ids(labels, num_classes=num_classes, ignore_index=ignore_index))


def flatten_pixels(logits: Tensor, labels: Tensor, pixel_weight: Tensor | None = None, *, ignore_index: int = 255) -> tuple[Tensor, ...]:
    """Lay the pixels of a batch side by side. Ignored ones stay and count 0 times: how many there are, only the device knows.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]`` for sampled pixels.
        labels: Class ids, integer ``[B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        pixel_weight: How often each pixel counts, ``[B, H, W]``, >= 0; ``None``: once.
        ignore_index: Label of the pixels that give neither loss nor gradient.

    Returns:
        ``log_probs [P, C]``, float32 (float64 for float64 logits), without gradient at ignored pixels; ``targets [P]``, int64, some class
        at ignored pixels; ``counts [P]``.

    Raises:
        ValueError: If shapes or label ids are not as above.
    """
    check_shapes(logits, labels)
    check_pixel_weight(labels, pixel_weight)
    targets, valid = split_ignored(labels, num_classes=logits.shape[1], ignore_index=ignore_index)
    scores = logits.to(loss_dtype(logits)).masked_fill(~valid[:, None], 0)  # they may hold anything, infinities too
    log_probs = F.log_softmax(scores.movedim(1, -1).flatten(0, -2), 1)
    counts = valid.to(log_probs) if pixel_weight is None else torch.where(valid, pixel_weight, 0).to(log_probs)
    return log_probs, targets.flatten(), counts.flatten()


def one_hot(targets: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """Return 1 at the class of each pixel and 0 elsewhere, ``[..., C]``; unlike ``F.one_hot`` it does not look for wrong ids."""
    return (targets[..., None] == torch.arange(num_classes, device=targets.device)).to(dtype)


def loss_dtype(logits: Tensor) -> torch.dtype:
    """Return the type that losses compute in: float64 for float64 logits, else float32."""
    return torch.float64 if logits.dtype == torch.float64 else torch.float32


def class_sums(log_probs: Tensor, targets: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sum over pixels, ``[C]`` each: probability of the right class, probability of the class anywhere, pixels of the class."""
    truth = one_hot(targets, log_probs.shape[1], counts.dtype) * counts[:, None]
    probs = log_probs.exp()
    return (probs * truth).sum(0), (probs * counts[:, None]).sum(0), truth.sum(0)


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
    them is a false alarm and lowers that class's Dice. Without this a model with most weights at zero would have no reason not to predict
    its few classes over the whole scene. Pixels that should not count at all carry ``ignore_index``.

    Class and pixel weights are constants.

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
    weights = check_focal_dice(logits, class_weight, gamma=gamma, dice_weight=dice_weight, eps=eps)
    log_probs, targets, counts = flatten_pixels(logits, labels, pixel_weight, ignore_index=ignore_index)
    log_p = log_probs.gather(1, targets[:, None])[:, 0]
    miss = (1 - log_p.exp()).clamp_min(torch.finfo(log_p.dtype).tiny)  # where gamma < 1 the slope at 0 is infinite
    focal = -(counts * weights[targets] * miss**gamma * log_p).sum() / _or_one(counts.sum())

    overlap, predicted, present = class_sums(log_probs, targets, counts)
    dice = (2 * overlap + eps) / _or_one(predicted + present + eps)
    return focal + dice_weight * mean_of(1 - dice, (present > 0) & (weights > 0))


def check_focal_dice(logits: Tensor, class_weight: Tensor | Sequence[float] | None, **at_least_zero: float) -> Tensor:
    """Check the settings of :func:`focal_dice_loss` and return its class weights, ``[C]``."""
    for name, value in at_least_zero.items():
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
    num_classes = logits.shape[1]
    if class_weight is None:
        return torch.ones(num_classes, dtype=loss_dtype(logits), device=logits.device)
    weights = to_device(torch.as_tensor(class_weight, dtype=loss_dtype(logits)), logits.device)
    if weights.shape != (num_classes,):
        raise ValueError(f"class_weight has {weights.numel()} entries, but the logits have {num_classes} classes")
    return weights


def tversky_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    alpha: float = 0.3,
    beta: float = 0.7,
    ignore_index: int = 255,
    pixel_weight: Tensor | None = None,
    eps: float = 1e-6,
) -> Tensor:
    """One minus the Tversky index, averaged over the classes that occur in the labels (Salehi, Erdogmus, Gholipour, MLMI 2017).

    With ``p`` the softmax of the logits, ``y`` the label, and sums over all valid pixels of the batch::

        hit_c  = sum of p_c [y = c],  false_c = sum of p_c [y != c],  missed_c = sum of (1 - p_c) [y = c]
        loss   = mean of 1 - (hit_c + eps) / (hit_c + alpha false_c + beta missed_c + eps)

    Args:
        logits: Raw scores, float ``[B, C, H, W]``, or ``[B, C, N]`` for sampled pixels.
        labels: Class ids, integer ``[B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        alpha: Cost of a false positive, >= 0.
        beta: Cost of a false negative, >= 0; ``alpha = beta = 0.5`` is the Dice loss.
        ignore_index: Label of the pixels that give neither loss nor gradient.
        pixel_weight: How often each pixel counts, ``[B, H, W]``, >= 0.
        eps: Smoothing of the ratio, >= 0.

    Returns:
        Scalar in ``[0, 1]``, float32 (float64 for float64 logits). Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes, label ids or settings are not as above.

    Example:
        >>> logits, labels = torch.zeros(1, 2, 1, 1), torch.tensor([[[1]]])
        >>> tversky_loss(logits, labels, alpha=0.3, beta=0.7)  # 1 - 0.5 / (0.5 + 0.3 * 0 + 0.7 * 0.5)
        tensor(0.4118)
    """
    for name, value in (("alpha", alpha), ("beta", beta), ("eps", eps)):
        if not value >= 0:
            raise ValueError(f"{name} must be >= 0, got {value}")
    hit, predicted, present = class_sums(*flatten_pixels(logits, labels, pixel_weight, ignore_index=ignore_index))
    size = hit + alpha * (predicted - hit) + beta * (present - hit) + eps
    return mean_of(1 - (hit + eps) / _or_one(size), present > 0)


def mean_of(losses: Tensor, counted: Tensor) -> Tensor:
    """Average the losses of the classes that count, ``[C]`` both; 0 if none does."""
    return torch.where(counted, losses, 0).sum() / _or_one(counted.sum())


def _or_one(total: Tensor) -> Tensor:
    """Return a divisor: the total, or 1 where it is 0."""
    return torch.where(total > 0, total, 1)
