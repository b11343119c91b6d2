"""Losses as plainly as possible: pixel by pixel, in Python."""

from __future__ import annotations

import math

import numpy as np


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


def tversky_by_loops(logits, labels, *, alpha, beta, ignore_index=255, eps=1e-6) -> float:
    """The Tversky loss, one pixel and one class at a time."""
    num_classes = logits.shape[1]
    hit, false, missed, seen = ([0.0] * num_classes for _ in range(4))
    for b, i, j in np.ndindex(*labels.shape):
        label = int(labels[b, i, j])
        if label == ignore_index:
            continue
        scores = [math.exp(score) for score in logits[b, :, i, j].double().tolist()]
        for c in range(num_classes):
            p = scores[c] / sum(scores)
            hit[c] += p if c == label else 0
            false[c] += p if c != label else 0
            missed[c] += 1 - p if c == label else 0
            seen[c] += c == label
    losses = [1 - (hit[c] + eps) / (hit[c] + alpha * false[c] + beta * missed[c] + eps) for c in range(num_classes) if seen[c]]
    return sum(losses) / len(losses) if losses else 0.0
