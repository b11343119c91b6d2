"""Region mutual information: a loss on small neighbourhoods instead of single pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from mmstreet.losses.functional import check_shapes, one_hot, split_ignored
from mmstreet.readback import check_later


def rmi_loss(
    logits: Tensor,
    labels: Tensor,
    *,
    radius_px: int = 3,
    pool: int = 3,
    bce_weight: float = 0.5,
    eps: float = 5e-4,
    ignore_index: int = 255,
) -> Tensor:
    """Region mutual information beside binary cross entropy (Zhao et al., NeurIPS 2019).

    Sigmoid probabilities and one-hot labels are average-pooled; each ``radius_px × radius_px`` neighbourhood is a vector. With the
    covariances over an image, ``M = Cov(y) - Cov(y, p) (Cov(p) + eps I)^-1 Cov(p, y)`` is the part of the labels' covariance that the
    prediction does not explain, and the loss of a class is ``0.5 log det(M + eps I) / radius_px²``, summed over the classes and averaged
    over the images. The value may be negative: it is a bound of mutual information up to a constant.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        labels: Class ids, integer ``[B, H, W]``, each in ``[0, C)`` or ``ignore_index``.
        radius_px: Side of the neighbourhood, in pooled pixels.
        pool: Factor of the average pooling; 1 leaves the resolution.
        bce_weight: Share of binary cross entropy; the rest is mutual information.
        eps: Ridge that keeps the matrices positive.
        ignore_index: Label of pixels that give neither loss nor gradient; they count as zeros on both sides.

    Returns:
        Scalar. Zero, still attached to the graph, when no pixel is valid.

    Raises:
        ValueError: If shapes or label ids are not as above, or the pooled map is smaller than one neighbourhood.
    """
    check_shapes(logits, labels)
    num_classes = logits.shape[1]
    targets, valid = split_ignored(labels, num_classes=num_classes, ignore_index=ignore_index)
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).masked_fill(~valid[:, None], 0)
    hits = one_hot(targets, num_classes, scores.dtype).permute(0, 3, 1, 2)
    mask = valid[:, None].to(scores.dtype)
    pixels = valid.sum()
    bce = (F.binary_cross_entropy_with_logits(scores, hits, reduction="none") * mask).sum() / pixels.clamp_min(1) / num_classes
    truth, probs = (F.avg_pool2d(x * mask, pool) if pool > 1 else x * mask for x in (hits, scores.sigmoid()))
    if min(truth.shape[2:]) < radius_px:
        raise ValueError(f"maps of {list(logits.shape[2:])} pooled by {pool} are smaller than a neighbourhood of {radius_px}")
    y, p = (_neighbourhoods(x, radius_px).double() for x in (truth, probs))  # [B, C, R², N]
    y, p = (x - x.mean(3, keepdim=True) for x in (y, p))
    ridge = eps * torch.eye(radius_px**2, dtype=torch.float64, device=logits.device)
    cov_yy, cov_pp, cov_yp = (a @ b.transpose(2, 3) / y.shape[3] for a, b in ((y, y), (p, p), (y, p)))
    explained = cov_yp @ torch.cholesky_solve(cov_yp.transpose(2, 3), _cholesky(cov_pp + ridge))
    factor = _cholesky(cov_yy - explained + ridge)
    half_log_det = factor.diagonal(dim1=2, dim2=3).log().sum(2)
    rmi = (half_log_det / radius_px**2).sum(1).mean().to(scores.dtype)
    return torch.where(pixels > 0, bce_weight * bce + (1 - bce_weight) * rmi, 0)


def _cholesky(matrices: Tensor) -> Tensor:
    """Factor matrices without waiting for the device to say whether they are positive; one that is not gives nan meanwhile."""
    factors, failed = torch.linalg.cholesky_ex(matrices)
    failed = (failed > 0)[..., None, None]
    check_later((failed & matrices.detach().isfinite()).flatten(-2).all(-1).any(), _refuse_matrices)
    return torch.where(failed, torch.nan, factors)


def _refuse_matrices() -> None:
    raise ValueError("a covariance matrix of RMI is not positive definite; take an eps larger than this one")


def _neighbourhoods(maps: Tensor, side: int) -> Tensor:
    """Return each pixel's neighbourhood as a vector, ``[B, C, side², N]`` from ``[B, C, H, W]``."""
    batch, classes = maps.shape[:2]
    columns = F.unfold(maps.flatten(0, 1)[:, None], side)
    return columns.view(batch, classes, side * side, math.prod(s - side + 1 for s in maps.shape[2:]))
