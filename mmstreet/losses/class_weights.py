"""Class weights from pixel counts.

The steps, in this order: counts -> frequency -> weight -> normalise -> clip -> boost. Nothing is normalised again after a clip or a boost.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from inspect import signature

import numpy as np
from mmengine.logging import print_log

from mmstreet.labels import BDD100K_PIXEL_COUNTS, BDD100K_SEM19, get_table

_BDD100K_SHARES = {label.name: label.share for label in BDD100K_SEM19.labels}

PRESETS: dict[str, tuple[float, ...]] = {
    # bicycle, motorcycle, pole, car, person, vegetation, as in the table 'street6'
    "street6_published": (7.243, 10.0, 0.233, 0.1, 0.817, 0.1),
}
"""Weights that are known as numbers only.

``street6_published`` is printed by the street-view study (Man, Leobandung, Jiang, Pan: Streetview Semantics, 2025) for its final model. No
formula yields these six numbers: with weights of mean 1 they are impossible for any pixel counts, whether the study's boosts come before
or after (bicycle alone would exceed the sum of 6, or the boosts taken back already sum to 6.7), and the study's own recipe
(``method='inverse', normalize='mean', boosts={'bicycle': 3, 'motorcycle': 3, 'pole': 2}, clip=(0.1, 10), boost_first=True``) on its own
counts gives 7.009, 10, 0.1, 0.1, 0.133, 0.1: vegetation, car and motorcycle agree, person comes out six times smaller.
"""

_DEFAULTS = {"power": ("power", 0.5), "effective_num": ("beta", 0.999999), "enet": ("c", 1.02)}
METHODS = ("inverse", "sqrt_inverse", "power", "median_freq", "effective_num", "enet")
"""The ways from a frequency to a weight; see :func:`compute_class_weights`."""


def compute_class_weights(
    counts: Sequence[float],
    *,
    method: str = "inverse",
    power: float | None = None,
    beta: float | None = None,
    c: float | None = None,
    normalize: str = "mean",
    boosts: Mapping[str, float] | None = None,
    clip: Sequence[float] | None = None,
    boost_first: bool = False,
    only: Sequence[str] | None = None,
    zero: str | float = "error",
    names: Sequence[str] | None = None,
) -> list[float]:
    """Compute one weight per class from how many pixels each class has.

    With ``n`` the counts and ``f = n / sum(n)``, ``method`` is one of

    - ``inverse``: 1 / f
    - ``sqrt_inverse``: 1 / sqrt(f)
    - ``power``: f ** -power (default 0.5)
    - ``median_freq``: median(f) / f
    - ``effective_num``: (1 - beta) / (1 - beta ** n) (default 0.999999; Cui et al., CVPR 2019); needs counts, not shares
    - ``enet``: 1 / ln(c + f) (default 1.02; Paszke et al., 2016)

    Args:
        counts: Pixels per class ``[C]``, or shares in any unit.
        method: See above.
        power: Exponent of ``power``.
        beta: Base of ``effective_num``, in [0, 1).
        c: Offset of ``enet``, > 1.
        normalize: ``'mean'``: the weights have mean 1; ``'sum'``: sum 1; ``'none'``: as they are.
        boosts: Factors by class name, applied last; a boosted weight may exceed the highest of ``clip``.
        clip: Lowest and highest weight, applied after normalising.
        boost_first: Apply the boosts before the clip, as the street-view study does. A boost then does nothing where the clip cuts the
            weight to the same value with and without it: 2 on 0.04 is 0.08, and a clip from 0.1 lifts both to 0.1.
        only: Names of the classes to weight; the others get 0, whatever ``clip`` says, and take no part in frequencies and normalising.
        zero: For a class without pixels, which takes no part in normalising: ``'error'``; ``'max'``, the largest normalised weight of the
            others; or the normalised weight itself. 0 stays 0, whatever ``clip`` says.
        names: Class names ``[C]``, needed by ``boosts`` and ``only``.

    Returns:
        ``C`` weights, computed in float64.

    Raises:
        ValueError: If a setting is not as above, or a class without pixels meets ``zero='error'``.

    Warns:
        UserWarning: If more than half of the weights are cut by ``clip``: such weights say little about the counts. If a boost has no
            effect.

    Example:
        >>> compute_class_weights([75, 25])
        [0.5, 1.5]
        >>> compute_class_weights([75, 25, 900], names=['road', 'pole', 'sky'], only=['road', 'pole'], boosts={'pole': 2})
        [0.5, 3.0, 0.0]
    """
    counts = np.asarray(counts, np.float64)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(f"counts must be one finite number >= 0 per class, got {counts.tolist()}")
    active = np.ones(len(counts), bool)
    if only is not None:
        active[:] = False
        active[_indices(only, names, len(counts), "only")] = True
    empty = active & (counts == 0)
    if empty.any() and zero == "error":
        raise ValueError(
            f"class {_name(int(empty.argmax()), names)} has no pixels; leave it out with only=…, or pass zero='max' or a number"
        )
    if not (active & ~empty).any():
        raise ValueError("no class has pixels; there is nothing to compute weights from")

    weights = np.zeros(len(counts))
    seen = active & ~empty
    weights[seen] = _normalize(_raw_weights(counts[seen], method, {"power": power, "beta": beta, "c": c}), normalize)
    if empty.any():
        weights[empty] = weights.max() if zero == "max" else _non_negative(zero, "zero")
    factors = np.ones(len(counts))
    for name, factor in (boosts or {}).items():
        factors[_indices([name], names, len(counts), "boosts")] = _non_negative(factor, f"boosts['{name}']")
    plain, boosted = _clip(weights, clip), _clip(weights * factors, clip)
    cut = int(((boosted != weights * factors) if boost_first else (plain != weights)).sum())
    if 2 * cut > active.sum():
        warnings.warn(
            f"{cut} of {active.sum()} class weights are cut by clip={tuple(clip)}; they say little about the counts", stacklevel=2
        )
    if not boost_first:
        return (plain * factors).tolist()
    idle = np.flatnonzero((boosted == plain) & (factors != 1) & (weights > 0))
    if len(idle):
        warnings.warn(
            f"the boost of {', '.join(names[i] for i in idle)} has no effect: clip={tuple(clip)} cuts the weight to the same value "
            "without it; boost after the clip with boost_first=False",
            stacklevel=2,
        )
    return boosted.tolist()


def resolve_class_weight(setting: Sequence[float] | str | Mapping | None) -> list[float] | None:
    """Read the ``class_weight`` of a config.

    Args:
        setting: ``None`` for no weights; the weights themselves; the name of one of :data:`PRESETS`; or the settings of
            :func:`compute_class_weights` with either ``counts`` or ``table``, the name or the rows of a class table that gives names and
            counts. A table with BDD100K's shares gives the pixels counted there, any other its shares. A config states its clip on
            purpose and is built once per head, so the warning of :func:`compute_class_weights` about many cut weights is not repeated
            here; the one about boosts without effect goes to the log.

    Raises:
        ValueError: If the setting is none of these, or a weight is negative or not finite.
    """
    if setting is None:
        return None
    if isinstance(setting, str):
        if setting not in PRESETS:
            raise ValueError(f"unknown class-weight preset '{setting}'; known presets: {', '.join(sorted(PRESETS))}")
        return list(PRESETS[setting])
    if isinstance(setting, Mapping):
        settings = dict(setting)
        allowed = ["table", *signature(compute_class_weights).parameters]
        unknown = sorted(set(settings) - set(allowed))
        if unknown or ("table" in settings) == ("counts" in settings):
            raise ValueError(
                f"class_weight settings must have either 'table' or 'counts' and may have {', '.join(allowed[2:])}; got {sorted(settings)}"
            )
        if "table" in settings:
            table = get_table(settings.pop("table"))
            unknown = [x.name for x in table.labels if x.share is None]
            if unknown:
                raise ValueError(
                    f"class_weight needs the share of every class, but table '{table.name}' has none for {', '.join(unknown)}; count them "
                    "with 'mmstreet verify' and write share=… into the rows, or give counts=[…] instead of table="
                )
            counted = all(_BDD100K_SHARES.get(x.name) == x.share for x in table.labels)
            settings["names"] = table.names
            settings["counts"] = [BDD100K_PIXEL_COUNTS[x.name] if counted else x.share for x in table.labels]
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            weights = compute_class_weights(**settings)
        for message in (str(warning.message) for warning in said):
            if message.startswith("the boost of"):
                print_log(f"class_weight: {message}", logger="current", level=logging.WARNING)
        return weights
    weights = [float(w) for w in setting]
    if not all(np.isfinite(w) and w >= 0 for w in weights):
        raise ValueError(f"class weights must be finite and >= 0, got {weights}")
    return weights


def _raw_weights(counts: np.ndarray, method: str, given: dict[str, float | None]) -> np.ndarray:
    if method not in METHODS:
        raise ValueError(f"unknown method '{method}'; known methods: {', '.join(METHODS)}")
    own, value = _DEFAULTS.get(method, (None, None))
    for name, number in given.items():
        if number is not None and name != own:
            raise ValueError(f"'{name}' is not a setting of method '{method}'")
        if number is not None:
            value = number
    frequency = counts / counts.sum()
    if method == "median_freq":
        return np.median(frequency) / frequency
    if method == "effective_num":
        if not 0 <= value < 1:
            raise ValueError(f"beta must be in [0, 1), got {value}")
        if (counts != counts.round()).any():
            raise ValueError("method 'effective_num' needs pixel counts, but these are shares; pass counts=[…] or take another method")
        with np.errstate(divide="ignore"):
            return (1 - value) / -np.expm1(counts * np.log(value))  # expm1: beta ** n is within rounding of 1 for few pixels
    if method == "enet":
        if not value > 1:
            raise ValueError(f"c must be > 1, got {value}")
        return 1 / np.log(value + frequency)
    return frequency ** -{"inverse": 1.0, "sqrt_inverse": 0.5}.get(method, value)


def _normalize(weights: np.ndarray, how: str) -> np.ndarray:
    if how not in ("mean", "sum", "none"):
        raise ValueError(f"normalize must be 'mean', 'sum' or 'none', got {how!r}")
    return weights if how == "none" else weights / getattr(weights, how)()


def _clip(weights: np.ndarray, clip: Sequence[float] | None) -> np.ndarray:
    """Cut the weights to a range; 0 stays 0."""
    if clip is None:
        return weights
    low, high = clip
    if not 0 <= low <= high:
        raise ValueError(f"clip must be (lowest, highest) with 0 <= lowest <= highest, got {tuple(clip)}")
    return np.where(weights > 0, weights.clip(low, high), 0.0)


def _indices(wanted: Sequence[str], names: Sequence[str] | None, num_classes: int, setting: str) -> list[int]:
    if names is None or len(names) != num_classes:
        raise ValueError(f"{setting} speaks of classes by name; pass names=[…], one per count ({num_classes})")
    for name in wanted:
        if name not in names:
            raise ValueError(f"{setting} names class '{name}', which is not among: {', '.join(names)}")
    return [list(names).index(name) for name in wanted]


def _non_negative(value: float, what: str) -> float:
    if isinstance(value, str) or not (np.isfinite(value) and value >= 0):
        raise ValueError(f"{what} must be a finite number >= 0, got {value!r}")
    return float(value)


def _name(index: int, names: Sequence[str] | None) -> str:
    return f"{index}" if names is None else f"'{names[index]}'"
