"""Trees, bushes, hedges and the wooded hills behind everything."""

from __future__ import annotations

import math

import numpy as np

from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Rgb, mix, vary

_GREENS: tuple[Rgb, ...] = ((0.25, 0.36, 0.14), (0.32, 0.42, 0.18), (0.20, 0.31, 0.17), (0.38, 0.42, 0.17), (0.29, 0.34, 0.20))
_AUTUMN: tuple[Rgb, ...] = ((0.62, 0.42, 0.14), (0.58, 0.28, 0.12), (0.52, 0.46, 0.16))
_BARK: Rgb = (0.31, 0.25, 0.20)


def pick_foliage(rng: np.random.Generator, snow: float) -> Rgb:
    """Return one scene's base colour of leaves: mostly green, now and then autumn; snow bleaches it."""
    tones = _AUTUMN if rng.random() < 0.1 else _GREENS
    return mix(vary(rng, tones[rng.integers(len(tones))], 0.15), (0.82, 0.84, 0.87), 0.55 * snow)


def render_tree(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float, height: float, leaf: Rgb, kind: str) -> None:
    """Draw a tree.

    Args:
        canvas: Where to draw.
        rng: Source of chance.
        x: Position across the street in metres.
        z: Distance in metres.
        height: Height in metres.
        leaf: Colour of the leaves.
        kind: ``'round'``, ``'conifer'``, ``'slim'`` or ``'bare'``.
    """
    bark = canvas.paint(vary(rng, _BARK, 0.25), "vegetation", z=z, texture="rough")
    girth = height * rng.uniform(0.028, 0.042)
    lean = rng.uniform(-0.03, 0.03) * height
    fork = height * {"conifer": 0.9, "bare": 0.4}.get(kind, rng.uniform(0.32, 0.48))
    canvas.limb((x, 0.0, z), (x + lean, fork, z), girth * 1.25, girth * 0.6, bark)
    canvas.cast_shadow([(x + 1.4 * math.cos(a) * height * 0.18, 0, z + math.sin(a) * height * 0.2) for a in np.linspace(0, 6.28, 12)], 0.28)
    if kind == "conifer":
        _render_conifer(canvas, rng, x + lean, z, height, leaf)
        return
    if kind == "bare":
        _render_branches(canvas, rng, (x + lean, fork, z), height * 0.6, math.pi / 2, girth * 0.6, bark, 5)
        return
    for _ in range(3):
        dx = rng.uniform(-0.16, 0.16) * height
        canvas.limb((x + lean, fork * 0.9, z), (x + lean + dx, fork + 0.2 * height, z), girth * 0.5, girth * 0.25, bark)
    spread = height * (0.17 if kind == "slim" else rng.uniform(0.26, 0.36))
    middle = (fork * 0.75 + height) / 2
    render_foliage(canvas, rng, x=x + lean, y=middle, z=z, half_width=spread, half_height=(height - fork * 0.75) / 2, leaf=leaf)


def render_foliage(
    canvas: Canvas,
    rng: np.random.Generator,
    *,
    x: float,
    y: float,
    z: float,
    half_width: float,
    half_height: float,
    leaf: Rgb,
    edge: float = 1.0,
) -> None:
    """Draw a crown as many small clumps, dark inside and below, bright above and towards the sun.

    Args:
        canvas: Where to draw.
        rng: Source of chance.
        x: Middle across the street in metres.
        y: Middle above the ground.
        z: Distance.
        half_width: Half the width in metres.
        half_height: Half the height in metres.
        leaf: Colour of the leaves.
        edge: How far single clumps stand out of the outline, 0…1.
    """
    u, v = canvas.camera.project(x, y, z)
    a, b = half_width * canvas.camera.scale(z), half_height * canvas.camera.scale(z)
    base = vary(rng, leaf, 0.1)
    tones = [canvas.paint(tuple(min(1.0, c * k) for c in base), "vegetation", z=z, texture="leaf") for k in _TONES]
    # The outline is made of lobes; clumps fill each lobe and small ones fray its edge.
    lobes = int(rng.integers(5, 9))
    turn = np.linspace(0, 2 * math.pi, lobes, endpoint=False) + rng.uniform(0, 1, lobes)
    lobe_u, lobe_v = np.append(0.0, 0.55 * np.cos(turn)), np.append(0.0, 0.52 * np.sin(turn))
    lobe_r = np.append(0.62, rng.uniform(0.36, 0.5, lobes))
    for du, dv, r in zip(lobe_u.tolist(), lobe_v.tolist(), lobe_r.tolist()):
        canvas.disc((u + du * a, v + dv * b), r * a, tones[0], flatten=b / a)
    count = int(min(300, max(30, 1.7 * math.sqrt(a * b))))
    fray = int(count * 0.45 * edge)
    home = rng.integers(0, lobes + 1, count + fray)
    angle, reach = rng.uniform(0, 2 * math.pi, count + fray), np.sqrt(rng.uniform(0, 1, count + fray)) * 0.9
    reach[count:] = rng.uniform(0.9, 1.1, fray)
    du, dv = lobe_u[home] + lobe_r[home] * reach * np.cos(angle), lobe_v[home] + lobe_r[home] * reach * np.sin(angle)
    local = -0.55 * np.sin(angle) * reach + 0.3 * canvas.light.sun[0] * np.cos(angle) * reach
    lit = -0.45 * dv + 0.3 * canvas.light.sun[0] * du + local + rng.normal(0, 0.22, count + fray)
    size = rng.uniform(0.05, 0.13, count + fray) * a
    size[count:] = rng.uniform(0.02, 0.05, fray) * a
    flat = rng.uniform(0.5, 0.95, count + fray) * (b / a) ** 0.5
    shade = np.clip((lit + 0.95) / 1.9 * len(tones), 0, len(tones) - 1).astype(int)
    order = np.argsort(lit + rng.normal(0, 0.3, count + fray))
    for pu, pv, r, f, k in zip(*(array[order].tolist() for array in (u + du * a, v + dv * b, size, flat, shade))):
        canvas.disc((pu, pv), r, tones[k], flatten=f)


_TONES = (0.50, 0.66, 0.82, 1.0, 1.16, 1.34)


def render_bush(canvas: Canvas, rng: np.random.Generator, *, x: float, z: float, height: float, leaf: Rgb) -> None:
    """Draw a bush that stands on the ground."""
    width = height * rng.uniform(0.6, 1.0)
    render_foliage(canvas, rng, x=x, y=height * 0.45, z=z, half_width=width, half_height=height * 0.5, leaf=leaf, edge=0.7)


def render_hills(canvas: Canvas, rng: np.random.Generator, *, z: float, height: float, leaf: Rgb) -> None:
    """Draw a wooded ridge across the whole picture at distance ``z``."""
    width, horizon = canvas.camera.size_wh[0], canvas.camera.horizon
    top = height * canvas.camera.scale(z)
    us = np.linspace(-0.02, 1.02, 120)
    profile = np.full(len(us), 0.55)
    for k in range(1, 7):
        profile += rng.normal(0, 0.28 / k) * np.sin(2 * np.pi * k * us * 1.3 + rng.uniform(0, 6.28))
    profile = np.clip(profile, 0.12, 1.2) + rng.normal(0, 0.045, len(us))
    back = canvas.paint(tuple(0.72 * c for c in leaf), "vegetation", z=z, texture="leaf")
    front = canvas.paint(tuple(0.9 * c for c in leaf), "vegetation", z=z, texture="leaf")
    foot = horizon + canvas.camera.height * canvas.camera.scale(z)
    canvas.flat([(u * width, horizon - p * top) for u, p in zip(us, profile)] + [(1.02 * width, foot), (-0.02 * width, foot)], back)
    for u, p in zip(us, profile):
        for _ in range(3):
            v = horizon - p * top * rng.uniform(0.1, 0.95)
            canvas.disc((u * width + rng.normal(0, 0.006) * width, v), rng.uniform(0.005, 0.014) * width, front, flatten=0.7)


def _render_conifer(canvas: Canvas, rng: np.random.Generator, x: float, z: float, height: float, leaf: Rgb) -> None:
    scale = canvas.camera.scale(z)
    layers = 9
    tones = [
        canvas.paint(tuple(k * c for c in mix(leaf, (0.10, 0.22, 0.14), 0.5)), "vegetation", z=z, texture="leaf") for k in (0.6, 0.8, 1.0)
    ]
    for i in range(layers):
        t = i / layers
        u, v = canvas.camera.project(x, height * (0.12 + 0.8 * t), z)
        half, drop = height * 0.2 * (1 - t) * rng.uniform(0.9, 1.1) * scale, height * 0.16 * scale
        left = [(u - half * s, v + drop * 0.2 * rng.uniform(-0.6, 0.8)) for s in np.linspace(1, -1, 9)]
        canvas.flat([(u, v - drop), *reversed(left)], tones[i % 3])


def _render_branches(
    canvas: Canvas,
    rng: np.random.Generator,
    at: tuple[float, float, float],
    length: float,
    angle: float,
    width: float,
    paint: int,
    depth: int,
) -> None:
    for turn in rng.uniform(0.2, 0.6, 2) * (-1, 1):
        reach = length * rng.uniform(0.3, 0.46)
        end = (at[0] + reach * math.cos(angle + turn), at[1] + reach * math.sin(angle + turn), at[2])
        canvas.limb(at, end, width, width * 0.6, paint, thinnest=1.6)
        if depth > 1:
            _render_branches(canvas, rng, end, length * 0.8, angle + turn, width * 0.6, paint, depth - 1)
