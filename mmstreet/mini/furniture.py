"""What stands on posts: street lamps, wires' posts, traffic lights and signs, and bollards."""

from __future__ import annotations

import math

import numpy as np

from mmstreet.mini.camera import Point
from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.light import Rgb, mix, vary

_STEEL: tuple[Rgb, ...] = ((0.48, 0.49, 0.50), (0.30, 0.31, 0.32), (0.62, 0.63, 0.63), (0.20, 0.26, 0.22), (0.42, 0.36, 0.30))
_SIGNAL: dict[str, Rgb] = {"red": (1.0, 0.16, 0.10), "yellow": (1.0, 0.78, 0.15), "green": (0.20, 1.0, 0.62)}


def render_post(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float, height: float, width: float = 0.13) -> Rgb:
    """Draw a bare post and return its colour; it is never thinner than about two pixels of a 640 pixel wide picture."""
    rgb = vary(rng, _STEEL[rng.integers(len(_STEEL))], 0.15)
    _bar(canvas, (x, 0.0, z), (x, height, z), width, rgb)
    return rgb


def render_street_lamp(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float, side: int) -> None:
    """Draw a lamp post whose arm reaches over the road from ``side``."""
    height, reach = rng.uniform(6.5, 9.5), rng.uniform(1.2, 2.6)
    rgb = render_post(canvas, rng, x=x, z=z, height=height, width=0.16)
    tip = (x - side * reach, height + 0.35, z)
    _bar(canvas, (x, height, z), tip, 0.09, rgb)
    lit = canvas.light.timeofday == "night"
    lens = canvas.paint((1.0, 0.86, 0.62) if lit else (0.72, 0.72, 0.70), "pole", z=z, glow=1.0 if lit else 0.0)
    u, v = canvas.camera.project(*tip)
    canvas.disc((u, v + 0.05 * canvas.camera.scale(z)), 0.34 * canvas.camera.scale(z), lens, flatten=0.35)
    if lit:
        canvas.lamp(tip, 1.3, (1.0, 0.72, 0.38))


def render_utility_post(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float) -> None:
    """Draw a wooden post with cross-arms."""
    height = rng.uniform(8.0, 11.0)
    wood = vary(rng, (0.36, 0.29, 0.23), 0.2)
    _bar(canvas, (x, 0.0, z), (x, height, z), 0.26, wood)
    for y in (height - 0.5, height - 1.3)[: int(rng.integers(1, 3))]:
        _bar(canvas, (x - 1.0, y, z), (x + 1.0, y, z), 0.12, wood)


def render_bollard(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float) -> None:
    """Draw a bollard."""
    rgb = render_post(canvas, rng, x=x, z=z, height=0.95, width=0.16)
    _bar(canvas, (x, 0.75, z), (x, 0.86, z), 0.16, mix(rgb, (0.9, 0.9, 0.9), 0.8))


def render_traffic_light(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float, side: int, state: str, arm: float) -> None:
    """Draw a signal post.

    Args:
        canvas: Where to draw.
        rng: Source of chance.
        x: Position of the post.
        z: Distance.
        side: Side of the street on which it stands.
        state: ``'red'``, ``'yellow'`` or ``'green'``.
        arm: Length of the mast arm over the road in metres; 0 puts the signal on the post.
    """
    height = 5.9 if arm else 3.4
    rgb = render_post(canvas, rng, x=x, z=z, height=height, width=0.17)
    yellow = rng.random() < 0.35
    if arm:
        _bar(canvas, (x, height - 0.2, z), (x - side * arm, height - 0.1, z), 0.13, rgb)
        for reach in (arm, arm * 0.55)[: 1 if arm < 4 else 2]:
            _render_signal(canvas, (x - side * reach, height - 0.75, z), state, yellow)
        _render_signal(canvas, (x - side * 0.28, 2.9, z), state, yellow)
    else:
        _render_signal(canvas, (x, height - 0.3, z), state, yellow)


def render_sign(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float, kind: str) -> None:
    """Draw a sign on its post; ``kind`` is one of :data:`SIGNS`."""
    height = rng.uniform(2.3, 2.9)
    render_post(canvas, rng, x=x, z=z, height=height, width=0.09)
    _render_plate(canvas, rng, (x, height, z), kind, rng.uniform(0.36, 0.5))


def render_gantry(canvas: Canvas, rng: np.random.Generator, *, left: float, right: float, z: float) -> None:
    """Draw a sign bridge over the carriageway with one to three large direction signs."""
    top = rng.uniform(6.4, 7.2)
    rgb = vary(rng, (0.55, 0.56, 0.57), 0.1)
    for x in (left, right):
        _bar(canvas, (x, 0.0, z), (x, top + 0.6, z), 0.35, rgb)
    _bar(canvas, (left, top, z), (right, top, z), 0.3, rgb)
    _bar(canvas, (left, top + 0.8, z), (right, top + 0.8, z), 0.14, rgb)
    tone = vary(rng, ((0.05, 0.38, 0.24), (0.10, 0.28, 0.55))[int(rng.random() < 0.3)], 0.12)
    count = int(rng.integers(1, 4))
    for i in range(count):
        middle = left + (right - left) * (i + 0.5 + rng.uniform(-0.12, 0.12)) / count
        half = min(rng.uniform(1.6, 2.6), (right - left) / count * 0.46)
        _render_board(canvas, rng, (middle, top + 0.5, z), half, rng.uniform(1.0, 1.4), tone)


SIGNS = ("stop", "limit", "warning", "parking", "no entry", "yield", "street name")
"""Kinds of signs that :func:`render_sign` knows."""


def _bar(canvas: Canvas, a: Point, b: Point, width: float, rgb: Rgb) -> None:
    """Draw a round bar with a lit flank; its width stays between 2 and 6 pixels of a 640 pixel wide picture."""
    pixel = OVERSAMPLING * max(0.55, canvas.camera.size_wh[0] / OVERSAMPLING / 640)
    scale = canvas.camera.scale((a[2] + b[2]) / 2)
    width = min(max(width, 1.9 * pixel / scale), 6 * pixel / scale)
    canvas.limb(a, b, width, width, canvas.paint(rgb, "pole", z=a[2], texture="rough"))
    if a[0] == b[0] and width * scale > 4:
        shift = width * 0.22 * (1 if canvas.light.sun[0] > 0 else -1)
        canvas.limb(
            (a[0] + shift, a[1], a[2]),
            (b[0] + shift, b[1], b[2]),
            width * 0.3,
            width * 0.3,
            canvas.paint(mix(rgb, (1, 1, 1), 0.3), "pole", z=a[2]),
        )


def _plate(canvas: Canvas, at: Point, shape: list[tuple[float, float]], rgb: Rgb, glow: float = 0.0) -> None:
    paint = canvas.paint(rgb, "traffic sign", normal=(0, 0.1, -1), z=at[2], glow=glow)
    canvas.fill([(at[0] + dx, at[1] + dy, at[2]) for dx, dy in shape], paint)


def _ngon(n: int, r: float, turn: float = 0.0) -> list[tuple[float, float]]:
    return [(r * math.sin(2 * math.pi * i / n + turn), r * math.cos(2 * math.pi * i / n + turn)) for i in range(n)]


def _rect(w: float, h: float, dx: float = 0.0, dy: float = 0.0) -> list[tuple[float, float]]:
    return [(dx - w, dy - h), (dx - w, dy + h), (dx + w, dy + h), (dx + w, dy - h)]


def _render_plate(canvas: Canvas, rng: np.random.Generator, at: Point, kind: str, r: float) -> None:
    red, white, black = vary(rng, (0.76, 0.10, 0.10), 0.1), (0.92, 0.92, 0.90), (0.08, 0.08, 0.09)
    # Headlights make sign foil shine.
    foil = 0.25 * (canvas.light.headlight > 0)
    if kind == "stop":
        _plate(canvas, at, _ngon(8, r, math.pi / 8), white, foil)
        _plate(canvas, at, _ngon(8, r * 0.92, math.pi / 8), red, foil)
        _plate(canvas, at, _rect(r * 0.62, r * 0.17), white, foil)
        for i in range(3):
            _plate(canvas, at, _rect(r * 0.03, r * 0.17, (i - 1) * r * 0.32), red)
    elif kind == "limit":
        _plate(canvas, at, _rect(r * 0.75, r), black)
        _plate(canvas, at, _rect(r * 0.70, r * 0.95), white, foil)
        _plate(canvas, at, _rect(r * 0.42, r * 0.08, 0, r * 0.6), black)
        for dx in (-0.28, 0.28):
            _plate(canvas, at, _rect(r * 0.18, r * 0.36, r * dx, -r * 0.2), black)
            _plate(canvas, at, _rect(r * 0.08, r * 0.2, r * dx, -r * 0.2), white, foil)
    elif kind == "warning":
        _plate(canvas, at, _ngon(4, r * 1.2), black)
        _plate(canvas, at, _ngon(4, r * 1.12), (0.93, 0.73, 0.12), foil)
        _plate(canvas, at, _rect(r * 0.1, r * 0.42), black)
        _plate(canvas, at, _rect(r * 0.32, r * 0.08, r * 0.1, r * 0.1), black)
    elif kind == "parking":
        _plate(canvas, at, _rect(r * 0.72, r * 0.95), white, foil)
        _plate(canvas, at, _rect(r * 0.66, r * 0.9), vary(rng, (0.10, 0.26, 0.62), 0.15), foil)
        _plate(canvas, at, _rect(r * 0.08, r * 0.5, -r * 0.2), white, foil)
        _plate(canvas, at, _rect(r * 0.26, r * 0.26, r * 0.02, r * 0.24), white, foil)
    elif kind == "no entry":
        _plate(canvas, at, _ngon(18, r), red, foil)
        _plate(canvas, at, _rect(r * 0.68, r * 0.15), white, foil)
    elif kind == "yield":
        _plate(canvas, at, _ngon(3, r * 1.15, math.pi), red, foil)
        _plate(canvas, at, _ngon(3, r * 0.72, math.pi), white, foil)
    else:
        _render_board(canvas, rng, at, r * 1.9, r * 0.42, vary(rng, (0.06, 0.36, 0.22), 0.15))


def _render_board(canvas: Canvas, rng: np.random.Generator, at: Point, half_width: float, half_height: float, rgb: Rgb) -> None:
    """Draw a board with a white rim and words, as blocks."""
    foil = 0.3 * (canvas.light.headlight > 0)
    _plate(canvas, at, _rect(half_width, half_height), (0.9, 0.9, 0.9), foil)
    rim = 0.08 * half_height
    _plate(canvas, at, _rect(half_width - rim, half_height - rim), rgb, foil)
    lines = 1 if half_height < 0.5 else 2
    for line in range(lines):
        y = 0.0 if lines == 1 else half_height * (0.35 - 0.75 * line)
        x = -0.8 * half_width
        while x < 0.62 * half_width:
            step = rng.uniform(0.07, 0.2) * half_width
            letter = half_height * (0.42 if lines == 1 else 0.2)
            _plate(canvas, at, _rect(step * 0.42, letter * rng.uniform(0.75, 1.0), x + step / 2, y), (0.92, 0.92, 0.90), foil)
            x += step * (1.0 if rng.random() < 0.8 else 2.2)


def _render_signal(canvas: Canvas, at: Point, state: str, yellow: bool) -> None:
    x, y, z = at
    housing: Rgb = (0.80, 0.60, 0.10) if yellow else (0.09, 0.10, 0.10)
    w, h = 0.24, 0.58
    for grow, rgb in ((0.08, (0.05, 0.05, 0.05)), (0.0, housing)):
        paint = canvas.paint(rgb, "traffic light", normal=(0, 0, -1), z=z)
        canvas.fill([(x + dx, y + dy, z) for dx, dy in _rect(w + grow, h + grow)], paint)
    scale = canvas.camera.scale(z)
    for i, name in enumerate(("red", "yellow", "green")):
        lit = name == state
        centre = (x, y + 0.37 - 0.37 * i, z)
        rgb = _SIGNAL[name] if lit else tuple(0.16 * c for c in _SIGNAL[name])
        canvas.disc(canvas.camera.project(*centre), 0.16 * scale, canvas.paint(rgb, "traffic light", z=z, glow=1.0 if lit else 0.0))
        if lit:
            canvas.lamp(centre, 0.55 if canvas.light.headlight > 0 else 0.24, rgb)
