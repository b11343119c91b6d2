"""Numbers for people: shares as per cent, ``None`` where nothing can be measured."""

from __future__ import annotations

import math


def percent(value: float) -> float | None:
    """Return a share in per cent, ``None`` for nan.

    Example:
        >>> percent(0.415), percent(float("nan"))
        (41.5, None)
    """
    return None if math.isnan(value) else 100.0 * float(value)
