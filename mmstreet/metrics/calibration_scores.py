"""Whether a model's confidence means anything, from counts of its pixels: calibration, and what is gained by leaving out the unsure ones.

Calibration error: Guo et al., On Calibration of Modern Neural Networks, ICML 2017; risk–coverage: Geifman and El-Yaniv, 2017, and Geifman
et al., 2019.
"""

from __future__ import annotations

import math

import numpy as np

from mmstreet.metrics.calibration import BINS, FINE, CalibrationCounts

_EXACT = 256


def calibration_scores(counts: CalibrationCounts) -> dict[str, float]:
    """Compute every scalar from the counts of a split; nan without pixels.

    Returns:
        ``ECE`` (:data:`BINS` bins of equal width), ``ECE_adaptive`` (of equal mass), ``ECE_classwise`` (mean over classes of the error of
        each class's probability), ``accuracy``, ``confidence`` (its mean), ``AURC`` (mean over all coverages of the error among the most
        confident pixels) and ``E_AURC`` (what of it a perfect order would save), all shares; ``Brier`` in ``[0, 2]`` and ``NLL`` in nats.
    """
    total = counts.pixels.sum()
    if not total:
        return dict.fromkeys(_SCORES, math.nan)
    by_class = np.abs(counts.class_probs - counts.class_hits).sum(1) / total
    aurc, ideal = _areas(counts)
    values = (
        calibration_error(counts, bins=BINS),
        adaptive_error(counts, bins=BINS),
        by_class.mean(),
        counts.brier / total,
        counts.nll / total,
        counts.right.sum() / total,
        counts.confidence.sum() / total,
        aurc,
        aurc - ideal,
    )
    return dict(zip(_SCORES, map(float, values)))


_SCORES = ("ECE", "ECE_adaptive", "ECE_classwise", "Brier", "NLL", "accuracy", "confidence", "AURC", "E_AURC")


def calibration_error(counts: CalibrationCounts, *, bins: int = BINS) -> float:
    """Mean over pixels of the distance between confidence and accuracy of their bin; bins of equal width, a divisor of :data:`FINE`."""
    gaps = (counts.confidence - counts.right).reshape(bins, -1).sum(1)
    return float(np.abs(gaps).sum() / counts.pixels.sum())


def adaptive_error(counts: CalibrationCounts, *, bins: int = BINS) -> float:
    """The same with bins that hold equally many pixels.

    A fine bin that lies across a border is divided as if its pixels were alike, which moves each border by at most one fine bin.
    """
    edges = np.linspace(0, counts.pixels.sum(), bins + 1)
    known = np.concatenate([[0], np.cumsum(counts.pixels)])
    gaps = np.concatenate([[0], np.cumsum(counts.confidence - counts.right)])
    return float(np.abs(np.diff(np.interp(edges, known, gaps))).sum() / counts.pixels.sum())


def reliability(counts: CalibrationCounts, *, bins: int = BINS) -> list[dict]:
    """Return ``pixels``, mean ``confidence`` and ``accuracy`` of each bin of equal width, the last two ``None`` in an empty one."""
    pixels, confidence, right = (values.reshape(bins, -1).sum(1) for values in (counts.pixels, counts.confidence, counts.right))
    return [
        {"pixels": int(n), "confidence": float(c / n) if n else None, "accuracy": float(r / n) if n else None}
        for n, c, r in zip(pixels, confidence, right)
    ]


def risk_coverage(counts: CalibrationCounts, coverages: np.ndarray) -> list[dict]:
    """Return for each share of pixels kept, the most confident first: ``coverage``, ``risk`` (error among them) and ``threshold``.

    ``threshold`` is the least confidence that is kept, to 1/:data:`FINE`. Pixels of one fine bin count as alike.
    """
    kept, wrong = _descending(counts)
    wanted = np.asarray(coverages) * kept[-1]
    places = np.searchsorted(kept[1:], wanted, side="left").clip(max=FINE - 1)
    risks = np.interp(wanted, kept, wrong) / np.maximum(wanted, 1e-9)
    return [
        {"coverage": float(share), "risk": float(risk), "threshold": float((FINE - 1 - place) / FINE)}
        for share, risk, place in zip(coverages, risks, places)
    ]


def _descending(counts: CalibrationCounts) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and wrong pixels among the fine bins of the highest confidence, ``[FINE + 1]`` each."""
    pixels, right = counts.pixels[::-1], counts.right[::-1]
    return np.concatenate([[0], np.cumsum(pixels)]), np.concatenate([[0], np.cumsum(pixels - right)])


def _areas(counts: CalibrationCounts) -> tuple[float, float]:
    """Area under the risk–coverage curve, and that of the order which has all right pixels first."""
    kept, wrong = _descending(counts)
    pixels = np.diff(kept)
    share = np.divide(np.diff(wrong), pixels, out=np.zeros(FINE), where=pixels > 0)
    # Within a bin the errors are spread evenly: at k pixels there are wrong[i] + share * (k - kept[i]) of them, divided by k.
    sums = (wrong[:-1] - share * kept[:-1]) * np.diff(_harmonic(kept)) + share * pixels
    total, errors = kept[-1], wrong[-1]
    rights = total - errors
    ideal = errors - rights * (_harmonic(total) - _harmonic(rights))
    return float(sums.sum() / total), float(ideal / total)


def _harmonic(count: np.ndarray) -> np.ndarray:
    """Sum of 1/k for k up to ``count``, to 1e-12."""
    count = np.asarray(count, np.float64)
    small = np.concatenate([[0], np.cumsum(1 / np.arange(1, _EXACT + 1))])
    large = np.maximum(count, _EXACT)
    series = np.log(large) + np.euler_gamma + 1 / (2 * large) - 1 / (12 * large**2) + 1 / (120 * large**4)
    return np.where(count <= _EXACT, small[np.minimum(count, _EXACT).astype(int)], series)
