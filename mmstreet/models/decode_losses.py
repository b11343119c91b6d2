"""What our decode heads share in training: their losses on logits of the labels' size, and the accuracy beside them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F


def decode_losses(
    head: BaseDecodeHead,
    logits: Tensor,
    samples: Sequence[SegDataSample],
) -> dict[str, Tensor]:
    """Compute the losses of a head by name, and ``acc_seg``, per cent of the labelled pixels that are predicted right.

    The names and values are those of mmseg's ``loss_by_feat``. Its accuracy costs more than a loss; here a loss that knows it tells it
    (``accuracy``), and else it comes from two passes that make no map. Of equal scores each counts as predicted.

    Args:
        head: Has losses, perhaps a sampler, and ``align_corners``.
        logits: Raw scores, float ``[B, C, h, w]``; they are resized to the labels.
        samples: Samples with ``gt_sem_seg``, int64 ``[1, H, W]``.
    """
    labels = torch.stack([sample.gt_sem_seg.data for sample in samples])  # [B, 1, H, W]
    logits = F.interpolate(logits, labels.shape[2:], mode="bilinear", align_corners=head.align_corners)
    weight = None if head.sampler is None else head.sampler.sample(logits, labels)
    labels = labels.squeeze(1)
    losses = head.loss_decode if isinstance(head.loss_decode, nn.ModuleList) else [head.loss_decode]
    found: dict[str, Tensor] = {}
    for loss in losses:
        value = loss(logits, labels, weight=weight, ignore_index=head.ignore_index)
        found[loss.loss_name] = found[loss.loss_name] + value if loss.loss_name in found else value
    known = [loss.accuracy for loss in losses if getattr(loss, "accuracy", None) is not None]
    found["acc_seg"] = known[0] if known else pixel_accuracy(logits, labels, ignore_index=head.ignore_index)
    return found


@torch.no_grad()
def pixel_accuracy(logits: Tensor, labels: Tensor, *, ignore_index: int = 255) -> Tensor:
    """Return per cent of the labelled pixels whose label has the highest score, ``[1]``; 0 without one.

    Args:
        logits: Raw scores, float ``[B, C, H, W]``.
        labels: Class ids, int64 ``[B, H, W]``.
        ignore_index: Label of pixels that do not count.
    """
    valid = labels != ignore_index
    score = logits.gather(1, labels.clamp(0, logits.shape[1] - 1)[:, None])[:, 0]
    right = (score == logits.amax(1)) & valid
    return 100 * right.sum().reshape(1) / valid.sum().clamp_min(1)
