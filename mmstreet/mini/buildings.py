"""Houses and blocks with windows, walls, fences, and the skyline behind them."""

from __future__ import annotations

import numpy as np

from mmstreet.mini.camera import Point, face_normal, faces_camera, on_face
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Rgb, mix, vary

_WALLS: tuple[Rgb, ...] = (
    (0.55, 0.30, 0.23), (0.64, 0.42, 0.32), (0.74, 0.66, 0.54), (0.82, 0.76, 0.66), (0.60, 0.58, 0.55), (0.72, 0.72, 0.70),
    (0.50, 0.47, 0.44), (0.66, 0.60, 0.46), (0.86, 0.84, 0.80), (0.46, 0.36, 0.30), (0.62, 0.66, 0.68), (0.78, 0.62, 0.48),
)  # fmt: skip
_ROOFS: tuple[Rgb, ...] = ((0.34, 0.31, 0.30), (0.45, 0.28, 0.22), (0.28, 0.30, 0.33), (0.42, 0.38, 0.34))
_AWNINGS: tuple[Rgb, ...] = (
    (0.62, 0.14, 0.14),
    (0.13, 0.36, 0.24),
    (0.16, 0.24, 0.48),
    (0.80, 0.62, 0.20),
    (0.25, 0.25, 0.27),
    (0.75, 0.72, 0.68),
)


def render_block(canvas: Canvas, rng: np.random.Generator, *, x: float, z0: float, z1: float, side: int, height: float) -> None:
    """Draw a town building with its front on the street line.

    Args:
        canvas: Where to draw.
        rng: Source of chance.
        x: Street line in metres.
        z0: Near end.
        z1: Far end.
        side: -1 stands on the left, 1 on the right.
        height: Eaves height in metres.
    """
    wall = vary(rng, _WALLS[rng.integers(len(_WALLS))], 0.12)
    back = x + side * rng.uniform(9, 16)
    glassy = rng.random() < 0.12
    shop = not glassy and rng.random() < 0.55
    style = {
        "pitch": rng.uniform(2.4, 4.2),
        "wide": rng.uniform(0.35, 0.62) if not glassy else 0.94,
        "tall": rng.uniform(0.45, 0.62) if not glassy else 0.82,
        "trim": mix(wall, (0.92, 0.91, 0.88), 0.7) if rng.random() < 0.6 else mix(wall, (0.1, 0.1, 0.1), 0.5),
        "floor": rng.uniform(3.0, 3.8),
        "lit": rng.uniform(0.1, 0.5),
        "band": rng.random() < 0.4,
    }
    if glassy:
        wall = mix(wall, (0.30, 0.36, 0.42), 0.7)
    street_face = _side_face(x, z0, z1, side, 0.0, height)
    gable = _front_face(min(x, back), max(x, back), z0, 0.0, height)
    for face, length, front in ((gable, abs(back - x), False), (street_face, z1 - z0, True)):
        if canvas.panel(face, wall, "building", texture="plaster"):
            _render_windows(canvas, rng, face, length, height, wall, style, shop=shop and front, blind=not front and rng.random() < 0.45)
            _render_cornice(canvas, face, height, style["trim"])


def render_house(canvas: Canvas, rng: np.random.Generator, *, x: float, z0: float, z1: float, side: int) -> None:
    """Draw a detached house with a pitched roof; arguments as for :func:`render_block`."""
    wall = vary(rng, _WALLS[rng.integers(len(_WALLS))], 0.12)
    roof = mix(vary(rng, _ROOFS[rng.integers(len(_ROOFS))], 0.15), (0.9, 0.91, 0.93), canvas.light.snow)
    height, rise, back = rng.uniform(3.0, 6.2), rng.uniform(1.6, 3.2), x + side * rng.uniform(7, 11)
    style = {
        "pitch": rng.uniform(2.6, 4.0), "wide": rng.uniform(0.35, 0.5), "tall": rng.uniform(0.42, 0.52), "trim": (0.90, 0.89, 0.86),
        "floor": height if height < 4.4 else height / 2, "lit": rng.uniform(0.1, 0.5), "band": False,
    }  # fmt: skip
    front = _side_face(x, z0, z1, side, 0.0, height)
    near = _front_face(min(x, back), max(x, back), z0, 0.0, height)
    for face, length in ((near, abs(back - x)), (front, z1 - z0)):
        if canvas.panel(face, wall, "building", texture="plaster"):
            _render_windows(canvas, rng, face, length, height, wall, style, shop=False, blind=False)
    eaves = 0.4
    if rng.random() < 0.5:  # ridge along the street
        ridge = (x + back) / 2
        gable = [(min(x, back), height, z0), (ridge, height + rise, z0), (max(x, back), height, z0)]
        canvas.panel(gable, wall, "building", texture="plaster")
        lo, hi = (x - side * eaves, height - 0.15, z0 - eaves), (ridge, height + rise, z0 - eaves)
        slope = [lo, hi, (hi[0], hi[1], z1 + eaves), (lo[0], lo[1], z1 + eaves)]
        canvas.panel(slope if side < 0 else slope[::-1], roof, "building", texture="rough")
        _stroke(canvas, lo, hi, 0.18, style["trim"])
        _stroke(canvas, (max(x, back) if side < 0 else min(x, back), height - 0.15, z0 - eaves), hi, 0.18, style["trim"])
    else:  # gable towards the street
        middle = (z0 + z1) / 2
        gable = [(x, height, z0), (x, height + rise, middle), (x, height, z1)]
        canvas.panel(gable[::-1] if side > 0 else gable, wall, "building", texture="plaster")
        lo, top = z0 - eaves, (x - side * eaves, height + rise, middle)
        near_slope = [(x - side * eaves, height - 0.15, lo), top, (back, height + rise, middle), (back, height - 0.15, lo)]
        canvas.panel(near_slope if side > 0 else near_slope[::-1], roof, "building", texture="rough")
        _stroke(canvas, (x - side * eaves, height - 0.15, lo), top, 0.2, style["trim"])
        _stroke(canvas, top, (x - side * eaves, height - 0.15, z1 + eaves), 0.2, style["trim"])


def render_wall(canvas: Canvas, rng: np.random.Generator, *, x: float, z0: float, z1: float, side: int, height: float) -> None:
    """Draw a free-standing wall along the street, with joints and a coping."""
    rgb = vary(rng, ((0.62, 0.60, 0.57), (0.58, 0.40, 0.32), (0.70, 0.66, 0.58), (0.52, 0.52, 0.53))[rng.integers(4)], 0.12)
    face = _side_face(x, z0, z1, side, 0.0, height)
    end = _front_face(min(x, x + side * 0.3), max(x, x + side * 0.3), z0, 0.0, height)
    canvas.panel(end, rgb, "wall", texture="rough")
    if not canvas.panel(face, rgb, "wall", texture="rough"):
        return
    joint, pitch = mix(rgb, (0.1, 0.1, 0.1), 0.35), rng.uniform(2.5, 5.0)
    for z in np.arange(z0 + pitch, min(z1, 60.0), pitch):
        canvas.panel(_side_face(x, z, z + 0.08, side, 0.0, height), joint, "wall")
    canvas.panel(_side_face(x, z0, z1, side, height * 0.92, height), mix(rgb, (1, 1, 1), 0.2), "wall", texture="rough")
    canvas.panel(_side_face(x, z0, z1, side, 0.0, height * 0.08), mix(rgb, (0.1, 0.1, 0.1), 0.3), "wall", texture="rough")


def render_fence(canvas: Canvas, rng: np.random.Generator, *, x: float, z0: float, z1: float, side: int, height: float) -> None:
    """Draw a fence along the street: pickets, boards or mesh between posts. What shows through is fence, too."""
    rgb = vary(
        rng, ((0.88, 0.87, 0.84), (0.46, 0.33, 0.22), (0.30, 0.31, 0.32), (0.22, 0.28, 0.24), (0.60, 0.52, 0.40))[rng.integers(5)], 0.15
    )
    behind = mix((0.30, 0.34, 0.22), rgb, rng.uniform(0.15, 0.6))
    if not canvas.panel(_side_face(x, z0, z1, side, 0.0, height), behind, "fence", texture="leaf"):
        return
    middle = canvas.camera.scale((z0 + z1) / 2)
    pitch = max(rng.uniform(0.14, 0.24), 3.5 / middle)
    for z in np.arange(z0, z1, pitch)[:160]:
        canvas.panel(_side_face(x, z, z + pitch * 0.5, side, 0.05, height * 0.96), rgb, "fence", texture="rough")
    for y in (0.2, 0.85):
        canvas.panel(_side_face(x, z0, z1, side, height * y, height * y + 0.07), mix(rgb, (0, 0, 0), 0.15), "fence")
    for z in np.arange(z0, z1, 2.5):
        canvas.panel(_side_face(x, z, z + 0.12, side, 0.0, height * 1.06), mix(rgb, (0, 0, 0), 0.25), "fence")


def render_skyline(canvas: Canvas, rng: np.random.Generator, *, z: float, density: float) -> None:
    """Draw plain blocks far off, so that the street does not end in the void."""
    span = 0.75 * canvas.camera.size_wh[0] / canvas.camera.scale(z)
    x = -span - canvas.camera.bend * z * z
    while x < span - canvas.camera.bend * z * z:
        width = rng.uniform(8, 30)
        if rng.random() < density:
            height = rng.uniform(6, 26) * (1.6 if rng.random() < 0.15 else 1.0)
            wall = vary(rng, mix(_WALLS[rng.integers(len(_WALLS))], (0.6, 0.6, 0.62), 0.4), 0.12)
            face = _front_face(x, x + width, z, 0.0, height)
            canvas.panel(face, wall, "building", texture="plaster")
            style = {"pitch": 5.0, "wide": 0.5, "tall": 0.45, "trim": wall, "floor": 3.6, "lit": 0.3, "band": True}
            _render_windows(canvas, rng, face, width, height, wall, style, shop=False, blind=False)
        x += width


def _side_face(x: float, z0: float, z1: float, side: int, y0: float, y1: float) -> list[Point]:
    """Return the face of something on ``side`` that looks at the street: bottom-left, top-left, top-right, bottom-right."""
    a, b = (z1, z0) if side > 0 else (z0, z1)
    return [(x, y0, a), (x, y1, a), (x, y1, b), (x, y0, b)]


def _front_face(x0: float, x1: float, z: float, y0: float, y1: float) -> list[Point]:
    """Return a face that looks at the camera, corners in the same order."""
    return [(x0, y0, z), (x0, y1, z), (x1, y1, z), (x1, y0, z)]


def _stroke(canvas: Canvas, a: Point, b: Point, width: float, rgb: Rgb) -> None:
    canvas.limb(a, b, width, width, canvas.paint(rgb, "building", z=a[2]))


def _render_cornice(canvas: Canvas, face: list[Point], height: float, trim: Rgb) -> None:
    canvas.panel(on_face(face, 0, 1 - min(0.06, 0.5 / height), 1, 1), trim, "building", texture="plaster")


def _render_windows(
    canvas: Canvas,
    rng: np.random.Generator,
    face: list[Point],
    length: float,
    height: float,
    wall: Rgb,
    style: dict,
    *,
    shop: bool,
    blind: bool,
) -> None:
    """Draw rows of windows, and shop fronts on the ground floor; windows below a pixel or two are left out."""
    pixels = canvas.camera.polygon(face)
    if len(pixels) < 3 or not faces_camera(pixels):
        return
    night = canvas.light.timeofday == "night"
    floors, bays = max(1, int(height / style["floor"])), max(1, int(length / style["pitch"]))
    depth = sum(p[2] for p in face) / 4
    step_px = style["floor"] * canvas.camera.scale(depth)
    if step_px < 5 or (blind and not shop):
        return
    glass = mix((0.16, 0.20, 0.25), canvas.light.sky_low if not night else (0.05, 0.06, 0.08), rng.uniform(0.1, 0.45))
    normal = face_normal(face)

    def paints(tones: list[Rgb], glow: float = 0.0) -> list[int]:
        return [canvas.paint(tone, "building", normal=normal, z=depth, glow=glow) for tone in tones]

    panes = [vary(rng, glass, 0.3) for _ in range(5)]
    dark, shiny = paints(panes), paints([mix(pane, canvas.light.sky_low, 0.3) for pane in panes])
    lit = paints([vary(rng, (1.0, 0.80, 0.48), 0.2) for _ in range(3)], 0.75)
    trim, belt = paints([style["trim"], mix(wall, style["trim"], 0.5)])
    storey = 1.0 / floors
    if shop:
        _render_shop(canvas, rng, face, bays, storey, wall)
    for row in range(1 if shop else 0, floors):
        low = row * storey + storey * (1 - style["tall"]) * 0.5
        high = low + storey * style["tall"]
        if style["band"] and step_px > 14:
            canvas.fill(on_face(face, 0, row * storey, 1, row * storey + storey * 0.06), belt)
        for bay, kind in enumerate(rng.integers(0, 5, bays).tolist()):
            left, right = (bay + 0.5 - style["wide"] / 2) / bays, (bay + 0.5 + style["wide"] / 2) / bays
            burning = night and rng.random() < style["lit"]
            if step_px > 22:
                across, up = 0.07 / bays, 0.07 * storey
                canvas.fill(on_face(face, left - across, low - up, right + across, high + up), trim)
            canvas.fill(on_face(face, left, low, right, high), lit[kind % 3] if burning else dark[kind])
            if step_px > 40:
                if not burning:
                    canvas.fill(on_face(face, left, high - (high - low) * rng.uniform(0.2, 0.7), right, high), shiny[kind])
                middle, bar = (left + right) / 2, 0.018 / bays
                canvas.fill(on_face(face, middle - bar, low, middle + bar, high), trim)


def _render_shop(canvas: Canvas, rng: np.random.Generator, face: list[Point], bays: int, storey: float, wall: Rgb) -> None:
    night = canvas.light.timeofday == "night"
    band = _AWNINGS[rng.integers(len(_AWNINGS))]
    canvas.panel(on_face(face, 0, 0, 1, storey), mix(wall, (0.2, 0.2, 0.2), 0.4), "building", texture="plaster")
    count = max(1, bays // 2)
    for i in range(count):
        lit = rng.random() < (0.7 if night else 0.15)
        rgb = vary(rng, (0.98, 0.84, 0.58), 0.2) if lit else vary(rng, (0.20, 0.22, 0.25), 0.3)
        a, b = (i + 0.08) / count, (i + 0.92) / count
        canvas.panel(on_face(face, a, storey * 0.1, b, storey * 0.68), rgb, "building", glow=0.6 if lit and night else 0.0)
        door = a + (b - a) * rng.uniform(0.1, 0.7)
        canvas.panel(on_face(face, door, 0, door + 0.14 / count, storey * 0.64), mix(rgb, (0.1, 0.08, 0.07), 0.6), "building")
        if rng.random() < 0.7:
            tone = vary(rng, band, 0.2)
            canvas.panel(on_face(face, a, storey * 0.7, b, storey * 0.9), tone, "building")
            for j in range(int(rng.integers(3, 8))):
                s = a + (b - a) * (0.2 + 0.08 * j)
                canvas.panel(on_face(face, s, storey * 0.76, s + 0.04 / count, storey * 0.84), mix(tone, (1, 1, 1), 0.7), "building")
