"""Line charts as plain data for a page: points in a unit square, ticks in per cent, values for the reading line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

NUM_COLORS = 10
"""Colours of the page; series beyond them are dashed."""

MAX_POINTS = 600
"""Longer series are averaged to about this many points."""


def line_chart(
    title: str,
    series: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    *,
    x_label: str,
    unit: str = "",
    y_range: tuple[float, float] | None = None,
    x_range: tuple[float, float] | None = None,
    smooth: bool = False,
    emphasis: Sequence[str] = (),
    show_last: bool = True,
) -> dict | None:
    """Lay out a line chart.

    Args:
        title: Its heading.
        series: Name to ``(x, y)``; ``None`` in ``y`` leaves a gap.
        x_label: What x counts.
        unit: Written behind the values.
        y_range: Default: round numbers around the values, from 0 where they are not far from it.
        x_range: Default: that of the values.
        smooth: Also draw a running mean over a twentieth of the points, and the raw values pale.
        emphasis: Series to draw strong while the others are thin.
        show_last: Write the last value of each series in the legend.

    Returns:
        JSON-ready: ``series`` with ``name``, ``color``, ``lines`` (SVG point lists in a square of 1000), ``raw`` (the same, pale),
        ``points`` (``[x %, y %, x, y]``), ``last``; ``x_ticks`` and ``y_ticks`` as ``[per cent, text]``. ``None`` without any point.
    """
    series = {name: _thin(xs, ys) for name, (xs, ys) in series.items()}
    series = {name: (xs, ys) for name, (xs, ys) in series.items() if any(y is not None for y in ys)}
    if not series:
        return None
    all_x = [x for xs, _ in series.values() for x in xs]
    all_y = [y for _, ys in series.values() for y in ys if y is not None]
    x_low, x_high = x_range or (min(all_x), max(all_x))
    y_ticks = ticks(*(y_range or _bounds(min(all_y), max(all_y))))
    y_low, y_high = y_range or (y_ticks[0], y_ticks[-1])
    x_span, y_span = (x_high - x_low) or 1, (y_high - y_low) or 1

    def place(x: float, y: float) -> tuple[float, float]:
        left = 50 if x_high == x_low else 100 * (x - x_low) / x_span
        return left, 100 - 100 * (min(max(y, y_low), y_high) - y_low) / y_span

    rendered = []
    for i, (name, (xs, ys)) in enumerate(series.items()):
        shown = running_mean(ys, max(1, len(ys) // 20)) if smooth else list(ys)
        points = [[*(round(p, 2) for p in place(x, y)), x, y] for x, y in zip(xs, shown) if y is not None]
        rendered.append(
            {
                "name": name,
                "color": i % NUM_COLORS,
                "dashed": i >= NUM_COLORS,
                "lines": _segments(place, xs, shown),
                "raw": _segments(place, xs, ys) if smooth and len(ys) > 20 else [],
                "points": points,
                "single": points[0] if len(points) == 1 else None,
                "last": points[-1][3],
                "thin": bool(emphasis) and name not in emphasis,
            }
        )
    x_ticks = [tick for tick in ticks(x_low, x_high, count=6) if x_low <= tick <= x_high]
    if all(float(x).is_integer() for x in all_x):
        x_ticks = [tick for tick in x_ticks if float(tick).is_integer()] or [x_low]
    return {
        "title": title,
        "x_label": x_label,
        "unit": unit,
        "show_last": show_last,
        "series": rendered,
        "x_ticks": [[round(place(tick, y_low)[0], 2), label(tick)] for tick in x_ticks],
        "y_ticks": [[round(place(x_low, tick)[1], 2), label(tick)] for tick in y_ticks if y_low <= tick <= y_high],
    }


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Round numbers, about ``count`` of them, that reach from ``low`` or below to ``high`` or above.

    Example:
        >>> ticks(0, 87)
        [0, 20, 40, 60, 80, 100]
        >>> ticks(0.00012, 0.00098)
        [0, 0.0002, 0.0004, 0.0006, 0.0008, 0.001]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    values = [float(f"{i * step:.12g}") for i in range(first, last + 1)]
    return [int(value) if value.is_integer() else value for value in values]


def label(value: float | None) -> str:
    """Write a number short: three significant digits, thousands with a thin space.

    Example:
        >>> [label(value) for value in (12000, 0.00012, 45.678, 3, None)]
        ['12\u202f000', '1.2e-4', '45.7', '3', 'n/a']
    """
    if value is None:
        return "n/a"
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    if value and abs(value) < 0.001:
        mantissa, _, exponent = f"{value:.1e}".partition("e")
        return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.3g}"


def running_mean(values: Sequence[float | None], width: int) -> list[float | None]:
    """Mean of each value and up to ``width - 1`` before it; gaps stay gaps and are left out of the means.

    Example:
        >>> running_mean([2, 4, None, 6], 2)
        [2.0, 3.0, None, 6.0]
    """
    means = []
    for i, value in enumerate(values):
        window = [v for v in values[max(0, i - width + 1) : i + 1] if v is not None]
        means.append(None if value is None else sum(window) / len(window))
    return means


def _bounds(low: float, high: float) -> tuple[float, float]:
    if low >= 0 and low < 0.6 * high:
        return 0.0, high
    if low == high:
        return low - (abs(low) or 1) * 0.05, high + (abs(high) or 1) * 0.05
    return low, high


def _thin(xs: Sequence[float], ys: Sequence[float | None]) -> tuple[list[float], list[float | None]]:
    every = -(-len(xs) // MAX_POINTS)
    if every <= 1:
        return list(xs), list(ys)
    groups = [[y for y in ys[i : i + every] if y is not None] for i in range(0, len(xs), every)]
    return list(xs[every - 1 :: every]) + ([xs[-1]] if len(xs) % every else []), [sum(g) / len(g) if g else None for g in groups]


def _segments(place, xs: Sequence[float], ys: Sequence[float | None]) -> list[str]:
    segments, current = [], []
    for x, y in [*zip(xs, ys), (0, None)]:
        if y is not None:
            left, top = place(x, y)
            current.append(f"{10 * left:.1f},{10 * top:.1f}")
        elif current:
            segments.append(" ".join(current))
            current = []
    return segments
