"""Pixels by confidence, on whatever device they are, and the temperature that fits them.

Confidence is the greatest class probability. Everything is counted in histograms of fixed size, so memory does not grow with the data set
and the counts of images and processes are added; :mod:`mmstreet.metrics.calibration_scores` scores them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import torch

from mmstreet.metrics.functional import add_by_place
from mmstreet.readback import on_host

BINS = 15
FINE = 15_000
"""Bins that equal-mass bins and the order of pixels are taken from; a confidence is known to 1/15000."""
TEMPERATURES = (0.01, 100.0)
"""Range in which a temperature is looked for."""
_STEPS = 50


@dataclass(frozen=True, eq=False)
class CalibrationCounts:
    """Counts of any number of pixels.

    Attributes:
        pixels: By bin of the confidence, int64 ``[FINE]``; bin ``i`` is ``(i, i + 1] / FINE``.
        confidence: Sum of the confidence by bin.
        right: Right pixels by bin.
        class_pixels: By class and bin of that class's probability, ``[C, BINS]``.
        class_probs: Sum of that probability.
        class_hits: Pixels that are of the class.
        brier: Sum over pixels of the squared distance of the probabilities to the truth.
        nll: Sum of minus the logarithm of the true class's probability, in nats.
    """

    pixels: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    class_pixels: np.ndarray
    class_probs: np.ndarray
    class_hits: np.ndarray
    brier: float
    nll: float

    def __add__(self, other: CalibrationCounts) -> CalibrationCounts:
        return CalibrationCounts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @classmethod
    def empty(cls, num_classes: int) -> CalibrationCounts:
        """Return the counts of no pixel."""
        by_bin, by_class = (np.zeros(FINE) for _ in range(2)), (np.zeros((num_classes, BINS)) for _ in range(2))
        return cls(np.zeros(FINE, np.int64), *by_bin, np.zeros((num_classes, BINS), np.int64), *by_class, 0.0, 0.0)

    @classmethod
    def unpack(cls, numbers: torch.Tensor) -> CalibrationCounts:
        """Read what :func:`pack_calibration` returns, once it is on the host."""
        numbers = numbers.numpy()
        by_bin, by_class = numbers[: 3 * FINE].reshape(3, FINE).copy(), numbers[3 * FINE : -2].reshape(3, -1, BINS).copy()
        return cls(by_bin[0].astype(np.int64), *by_bin[1:], by_class[0].astype(np.int64), *by_class[1:], *map(float, numbers[-2:]))


def predicted_ids(logits: torch.Tensor) -> torch.Tensor:
    """Return the ids of the greatest scores ``[C, N]``, int64 ``[N]``; the first of equal ones, as argmax, in an eighth of its time."""
    return logits.max(0).indices


def count_calibration(
    logits: torch.Tensor, labels: torch.Tensor, *, temperature: float = 1.0, winners: torch.Tensor | None = None
) -> CalibrationCounts:
    """Count pixels by confidence.

    Args:
        logits: Raw scores, float ``[C, N]``.
        labels: True class ids, int64 ``[N]``; pixels whose id is not in ``[0, C)`` are left out.
        temperature: Divides the logits, which changes confidences and no prediction.
        winners: What :func:`predicted_ids` returns, for a caller that counts at several temperatures.
    """
    return CalibrationCounts.unpack(pack_calibration(logits, labels, temperature=temperature, winners=winners).cpu())


def pack_calibration(
    logits: torch.Tensor, labels: torch.Tensor, *, temperature: float = 1.0, winners: torch.Tensor | None = None
) -> torch.Tensor:
    """Count as :func:`count_calibration` into one float64 vector, the fields in their order; no accelerator is waited for."""
    winners = predicted_ids(logits) if winners is None else winners
    log_probs = (logits.float() if temperature == 1 else logits.float() / temperature).log_softmax(0)
    valid = (labels >= 0) & (labels < len(logits))
    count = _count_kept if on_host(labels) else _count_all
    return torch.cat([part.double().flatten() for part in count(log_probs, labels, winners, valid)])


def _count_all(log_probs: torch.Tensor, labels: torch.Tensor, winners: torch.Tensor, valid: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the fields of the counts; pixels that are left out are counted as 0, as only the device knows how many they are."""
    log_probs = log_probs.masked_fill(~valid, 0)  # nan would stay nan, times 0
    probs, truth, weights = log_probs.exp(), labels.where(valid, 0), valid.double()
    confidence, true_log = probs.amax(0).double(), log_probs.gather(0, truth[None])[0]
    fine, true_probs = _bin(confidence, FINE), true_log.exp()
    for values in (weights, weights * confidence, weights * (winners == labels)):
        yield add_by_place(fine, FINE, values)
    bins = [_bin(of_class, BINS) for of_class in probs]
    yield torch.stack([add_by_place(place, BINS, weights) for place in bins])
    yield torch.stack([add_by_place(place, BINS, weights * of_class) for place, of_class in zip(bins, probs)])
    yield add_by_place(truth * BINS + _bin(true_probs, BINS), len(probs) * BINS, weights)
    yield (weights * (probs.square().sum(0, dtype=torch.float64) + 1 - 2 * true_probs)).sum()
    yield -(weights * true_log).sum()


def _count_kept(log_probs: torch.Tensor, labels: torch.Tensor, winners: torch.Tensor, valid: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the same in less time on a CPU."""
    classes, kept, probs = len(log_probs), valid.nonzero()[:, 0], log_probs.exp()
    truth, chosen = labels[kept], winners[kept]
    confidence, true_log = probs.amax(0)[kept], log_probs.gather(0, labels.where(valid, 0)[None])[0, kept]
    right, true_probs = chosen == truth, true_log.exp()
    fine, size = _bin(confidence.double(), FINE), classes * BINS

    def count(bins: torch.Tensor, length: int, weights: torch.Tensor | None = None) -> torch.Tensor:
        return torch.bincount(bins, weights=None if weights is None else weights.double(), minlength=length)

    # Most probabilities lie in the lowest bin, which is what all have less what the others have. Only where the confidence leaves more
    # than that bin holds can another class be above it.
    sure = confidence >= 1 - 1 / BINS
    unsure = kept[~sure]
    some = probs.index_select(1, unsure)
    above = (some > 1 / BINS).flatten().nonzero()[:, 0]
    values = torch.cat([some.flatten()[above], confidence[sure]])
    place = torch.cat([above.div(max(1, len(unsure)), rounding_mode="floor"), chosen[sure]]) * BINS + _bin(values, BINS)
    class_pixels, class_probs = (count(place, size, weights).view(classes, BINS) for weights in (None, values))
    class_pixels[:, 0] += len(kept) - class_pixels.sum(1)
    class_probs = class_probs.double()  # of no pixel they are integers
    class_probs[:, 0] += (probs @ valid.to(probs.dtype)).double() - class_probs.sum(1)
    yield from (count(fine, FINE), count(fine, FINE, confidence), count(fine, FINE, right))
    yield from (class_pixels, class_probs, count(truth * BINS + _bin(true_probs, BINS), size))
    yield (probs.square() @ valid.to(probs.dtype)).sum(dtype=torch.float64) + (1 - 2 * true_probs).sum(dtype=torch.float64)
    yield -true_log.sum(dtype=torch.float64)


def _bin(values: torch.Tensor, bins: int) -> torch.Tensor:
    return (values * bins).ceil_().long().sub_(1).clamp_(0, bins - 1)


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Find the temperature of the least negative log-likelihood, which is convex in ``1 / temperature``.

    Args:
        logits: Raw scores, float ``[C, N]``.
        labels: True class ids, int64 ``[N]``.

    Raises:
        ValueError: If there is no pixel, or no temperature in :data:`TEMPERATURES` is best.
    """
    if not labels.numel():
        raise ValueError("a temperature needs labelled pixels; this split has none")
    logits = logits.double()
    truth = logits.gather(0, labels[None])[0].mean()

    def slope(log_t: float) -> float:
        """Derivative of the likelihood by ``1 / temperature``: mean of the expected logit minus that of the true class."""
        probs = (logits / math.exp(log_t)).softmax(0)
        return float((probs * logits).sum(0).mean() - truth)

    low, high = (math.log(value) for value in TEMPERATURES)
    if not slope(high) < 0 < slope(low):
        raise ValueError(
            f"no temperature from {TEMPERATURES[0]:g} to {TEMPERATURES[1]:g} fits best: every pixel is right, or the scores say nothing; "
            "fit on a split on which the model makes mistakes"
        )
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    return math.exp((low + high) / 2)
