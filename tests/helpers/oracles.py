"""Losses written twice more, as plainly as possible: pixel by pixel in Python, and as one formula that autograd differentiates."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor


def focal_dice_by_loops(logits, labels, *, class_weight, gamma, dice_weight, ignore_index=255, pixel_weight=None, eps=1e-6) -> float:
    """The definition, one pixel and one class at a time, on ``[B, C, H, W]`` and ``[B, H, W]``."""
    batch, num_classes, height, width = logits.shape
    focal = pixels = 0.0
    overlap, predicted, present = [0.0] * num_classes, [0.0] * num_classes, [0.0] * num_classes
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                label = int(labels[b, i, j])
                if label == ignore_index:
                    continue
                count = 1.0 if pixel_weight is None else float(pixel_weight[b, i, j])
                scores = logits[b, :, i, j].double().tolist()
                log_sum = max(scores) + math.log(sum(math.exp(s - max(scores)) for s in scores))
                log_p = [s - log_sum for s in scores]
                pixels += count
                focal -= count * class_weight[label] * (1 - math.exp(log_p[label])) ** gamma * log_p[label]
                for c in range(num_classes):
                    predicted[c] += count * math.exp(log_p[c])
                overlap[label] += count * math.exp(log_p[label])
                present[label] += count
    if pixels == 0:
        return 0.0
    dice_losses = [
        1 - (2 * overlap[c] + eps) / (predicted[c] + present[c] + eps) for c in range(num_classes) if present[c] > 0 and class_weight[c] > 0
    ]
    return focal / pixels + (dice_weight * sum(dice_losses) / len(dice_losses) if dice_losses else 0.0)


def plain_focal_dice(logits: Tensor, labels: Tensor, *, class_weight: Tensor, gamma: float, dice_weight: float, eps=1e-6) -> Tensor:
    """The same on whole tensors, with 255 ignored and at least one valid pixel."""
    valid = labels != 255
    log_probs = F.log_softmax(logits, 1).movedim(1, -1)[valid]  # [valid pixels, C]
    truth = F.one_hot(labels[valid], logits.shape[1]).to(logits.dtype)
    log_p = (log_probs * truth).sum(1)
    focal = -((truth @ class_weight) * (1 - log_p.exp()) ** gamma * log_p).mean()
    probs = log_probs.exp()
    dice = (2 * (probs * truth).sum(0) + eps) / (probs.sum(0) + truth.sum(0) + eps)
    scored = (truth.sum(0) > 0) & (class_weight > 0)
    return focal + (dice_weight * (1 - dice[scored]).mean() if scored.any() else 0)
