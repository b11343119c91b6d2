"""Two classes from one channel: mmseg's binary heads give the odds of class 1, and a pixel is of class 1 above the head's own threshold."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from mmstreet.files.argmax import first_argmax

Scores = TypeVar("Scores")

_LEAST = 1e-7
"""Thresholds are kept this far from 0 and 1, where log odds are infinite."""


def log_odds(threshold: float) -> float:
    """Return the logit above which a pixel is of class 1.

    Example:
        >>> log_odds(0.5)
        0.0
    """
    inside = min(max(threshold, _LEAST), 1 - _LEAST)
    return float(np.log(inside / (1 - inside)))


def shift_probs(probs: np.ndarray, threshold: float | None) -> np.ndarray:
    """Move probabilities so that what the threshold divides is divided by 0.5, and the argmax is right.

    Args:
        probs: float ``[2, H, W]``.
        threshold: The head's threshold, or one minus it to undo this; ``None`` for models of several channels changes nothing.
    """
    if threshold is None:
        return probs
    odds = probs * np.array([threshold, 1 - threshold], probs.dtype)[:, None, None]
    return odds / odds.sum(0)


def labels_of(probs: np.ndarray, threshold: float | None) -> np.ndarray:
    """Return the class of each pixel, uint8 ``[H, W]``, of probabilities ``[C, H, W]``; with a threshold, class 1 above it."""
    return first_argmax(probs) if threshold is None else (probs[1] > threshold).astype(np.uint8)


def check_scores(scores: Scores) -> Scores:
    """Return scores as they are, an array or a tensor of any shape.

    Raises:
        ValueError: If one is nan or infinite.
    """
    with np.errstate(all="ignore"):
        # The sum is many times as fast as a look at every score, but may overflow.
        if not math.isfinite(float(scores.sum())):
            refuse_unless(bool((abs(scores) < math.inf).all()))
    return scores


def refuse_unless(finite: bool) -> None:
    """Refuse scores that are not finite.

    Raises:
        ValueError: Unless ``finite``.
    """
    if not finite:
        raise ValueError("the network's scores are not finite (nan or infinity): its weights or the preprocessing are broken")
