"""Cars: a body lofted through three rings, a cabin of glass and pillars, lamps and trim."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmstreet.mini.camera import Point, Pose
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Rgb, mix, vary
from mmstreet.mini.shell import BODY_PAINTS, NEAR_DETAIL, Shell, render_lamps, render_underside, render_vehicle_shadow, render_wheels

_PAINT_ODDS = (0.2, 0.16, 0.13, 0.15, 0.08, 0.07, 0.07, 0.05, 0.03, 0.02, 0.03, 0.01)
_SILL = 0.24
_TRIM: Rgb = (0.06, 0.06, 0.065)


@dataclass(frozen=True)
class CarShape:
    """Outline of a car from the side, in metres; positions along the car run from the tail (negative) to the nose.

    Attributes:
        length: Length of the car.
        width: Width at the waist.
        height: Height of the roof.
        belt: Height of the lower edge of the windows.
        nose: Height of the bonnet at its front end.
        tail_deck: Where the rear window begins.
        roof_tail: Rear end of the roof.
        roof_nose: Front end of the roof.
        glass_nose: Where the windscreen meets the bonnet.
        corner: How far the corners are cut in plan view.
    """

    length: float
    width: float
    height: float
    belt: float
    nose: float
    tail_deck: float
    roof_tail: float
    roof_nose: float
    glass_nose: float
    corner: float


CAR_SHAPES = {
    "sedan": CarShape(4.7, 1.82, 1.45, 0.93, 0.72, -1.75, -0.95, 0.40, 1.20, 0.26),
    "hatchback": CarShape(4.1, 1.77, 1.50, 0.94, 0.76, -1.88, -1.40, 0.40, 1.15, 0.28),
    "suv": CarShape(4.7, 1.92, 1.72, 1.06, 0.96, -2.18, -1.85, 0.40, 1.10, 0.24),
    "van": CarShape(5.0, 1.96, 1.96, 1.10, 1.00, -2.38, -2.20, 0.95, 1.75, 0.22),
    "pickup": CarShape(5.5, 1.98, 1.82, 1.05, 1.02, -0.75, -0.55, 0.60, 1.25, 0.16),
}


def render_car(canvas: Canvas, rng: np.random.Generator, pose: Pose, *, shape: str, braking: bool) -> None:
    """Draw a car; ``shape`` is a key of :data:`CAR_SHAPES`."""
    s = CAR_SHAPES[shape]
    rgb = vary(rng, BODY_PAINTS[rng.choice(len(BODY_PAINTS), p=_PAINT_ODDS)], 0.08)
    w, end = s.width / 2, s.length / 2
    axles, radius = (-0.30 * s.length, 0.31 * s.length), 0.36 if s.height > 1.6 else 0.32
    sill = _ring(0.96 * w, _SILL, _SILL, _SILL, -end + 0.10, s.glass_nose, end - 0.12, s.corner)
    waist = _ring(w, 0.60, 0.60, 0.56, -end, s.glass_nose, end, s.corner)
    belt = _ring(0.93 * w, s.belt, s.belt, s.nose, -end + 0.14, s.glass_nose, end - 0.16, s.corner)
    with canvas.instance("car"):
        render_vehicle_shadow(canvas, pose, s.length, s.width)
        render_underside(canvas, pose, "car", w, axles, radius)
        shell = Shell(canvas, pose, "car")
        shell.face(belt, mix(rgb, (0, 0, 0), 0.2))
        bonnet = shell.face([belt[i] for i in (2, 3, 4, 5, 6, 7)], rgb)
        deck = [belt[0], belt[1], (belt[1][0], s.belt, s.tail_deck), (belt[8][0], s.belt, s.tail_deck), belt[8], belt[9]]
        shell.face(deck, mix(rgb, (0, 0, 0), 0.5 if shape == "pickup" else 0.05))
        low_seen = _render_tier(shell, sill, waist, mix(rgb, (0, 0, 0), 0.12))
        high_seen = _render_tier(shell, waist, belt, rgb)
        _render_trim(shell, s, sill, waist, belt, rgb, low_seen)
        _render_ends(canvas, rng, shell, waist, belt, high_seen, braking)
        _render_cabin(canvas, shell, s, rgb)
        render_wheels(canvas, pose, "car", 0.985 * w, axles, radius)
        if bonnet and canvas.light.snow > 0.6:
            shell.face([(0.85 * a, y + 0.03, b) for a, y, b in (belt[i] for i in (2, 3, 4, 5, 6, 7))], (0.88, 0.9, 0.92))


def _ring(w: float, y_tail: float, y_mid: float, y_nose: float, tail: float, mid: float, nose: float, corner: float) -> list[Point]:
    """Return ten points around the body, clockwise from above, beginning left of the tail's middle."""
    half = [(w - corner, y_tail, tail), (w, y_tail, tail + corner), (w, y_mid, mid), (w, y_nose, nose - corner), (w - corner, y_nose, nose)]
    return [(-a, y, b) for a, y, b in half] + half[::-1]


def _quad(lower: list[Point], upper: list[Point], i: int) -> list[Point]:
    """Return face ``i`` between two rings: bottom-left, top-left, top-right, bottom-right as seen from outside."""
    j = (i + 1) % len(lower)
    return [lower[j], upper[j], upper[i], lower[i]]


def _render_tier(shell: Shell, lower: list[Point], upper: list[Point], rgb: Rgb) -> list[bool]:
    return [shell.face(_quad(lower, upper, i), rgb) for i in range(len(lower))]


def _render_trim(shell: Shell, s: CarShape, sill: list[Point], waist: list[Point], belt: list[Point], rgb: Rgb, seen: list[bool]) -> None:
    """Draw bumpers, number plates, sills and the gaps of the doors."""
    dark = mix(rgb, _TRIM, 0.7)
    for i, visible in enumerate(seen):
        if visible:
            shell.part(_quad(sill, waist, i), 0.0, 0.0, 1.0, 0.32, dark)
    for i, low in ((9, 0.5), (4, 0.38)):
        if seen[i]:
            shell.part(_quad(sill, waist, i), 0.33, low, 0.67, low + 0.34, (0.86, 0.86, 0.82))
    if shell.canvas.camera.scale(shell.pose.z) < NEAR_DETAIL:
        return
    w = s.width / 2
    for a in (-1, 1):
        for b in (s.glass_nose - 0.3, (s.roof_nose + s.roof_tail) / 2 - 0.1, s.tail_deck + 0.45):
            gap = [(a * w, 0.34, b), (a * w, 0.60, b), (a * w, 0.60, b + 0.035), (a * w, 0.34, b + 0.035)]
            upper = [(a * w, 0.60, b), (a * 0.94 * w, s.belt, b), (a * 0.94 * w, s.belt, b + 0.035), (a * w, 0.60, b + 0.035)]
            for face in (gap, upper):
                shell.face(face[::-1] if a < 0 else face, mix(rgb, (0, 0, 0), 0.5))


def _render_ends(
    canvas: Canvas, rng: np.random.Generator, shell: Shell, waist: list[Point], belt: list[Point], seen: list[bool], braking: bool
) -> None:
    """Draw lamps, which run round the corners, and the grille."""
    low, wide = rng.uniform(0.2, 0.45), rng.uniform(0.12, 0.28)
    for middle, corners, front in ((9, (0, 8), False), (4, (3, 5), True)):
        if not seen[middle]:
            continue
        face = _quad(waist, belt, middle)
        if front:
            shell.part(face, 0.22, 0.15, 0.78, 0.80, _TRIM)
            shell.part(face, 0.24, 0.44, 0.76, 0.52, (0.55, 0.55, 0.56))
        else:
            shell.part(face, 0.0, 0.12, 1.0, 0.16, mix(_TRIM, (0.3, 0.3, 0.3), 0.3))
        rgb, glow = render_lamps(canvas, shell, face, front=front, braking=braking, low=low, high=0.92, wide=wide)
        for i in corners:
            near_left = i in (8, 3)
            shell.part(_quad(waist, belt, i), 0.3 if near_left else 0.0, low, 1.0 if near_left else 0.7, 0.92, rgb, glow)


def _render_cabin(canvas: Canvas, shell: Shell, s: CarShape, rgb: Rgb) -> None:
    """Draw roof, pillars and glass."""
    low, top = s.width / 2 * 0.92, s.width / 2 * 0.74
    glass = mix((0.07, 0.09, 0.11), canvas.light.sky_low, 0.18)
    shine = mix(glass, canvas.light.sky_low, 0.4)
    for a in (-1, 1):
        corners = [(s.tail_deck, s.belt, low), (s.roof_tail, s.height, top), (s.roof_nose, s.height, top), (s.glass_nose, s.belt, low)]
        points = [(a * w, y, b) for b, y, w in (corners if a > 0 else corners[::-1])]
        if shell.face(points, rgb):
            for s0, s1 in ((0.07, 0.48), (0.52, 0.93)):
                shell.part(points, s0, 0.04, s1, 0.86, glass)
                shell.part(points, s0, 0.60, s1, 0.86, shine)
    rim = s.height - 0.07
    for a in (-1, 1):  # the roof is rounded: a narrow slope on each side of the flat middle
        edge = [
            (a * top, rim, s.roof_tail),
            (a * 0.8 * top, s.height, s.roof_tail),
            (a * 0.8 * top, s.height, s.roof_nose),
            (a * top, rim, s.roof_nose),
        ]
        shell.face(edge[::-1] if a < 0 else edge, mix(rgb, (1, 1, 1), 0.08))
    roof = [(-top, s.height, s.roof_tail), (-top, s.height, s.roof_nose), (top, s.height, s.roof_nose), (top, s.height, s.roof_tail)]
    shell.face(roof, mix(rgb, (0.88, 0.9, 0.92), canvas.light.snow))
    rear = [(-low, s.belt, s.tail_deck), (-top, s.height, s.roof_tail), (top, s.height, s.roof_tail), (low, s.belt, s.tail_deck)]
    front = [(low, s.belt, s.glass_nose), (top, s.height, s.roof_nose), (-top, s.height, s.roof_nose), (-low, s.belt, s.glass_nose)]
    for face in (rear, front):
        if shell.face(face, rgb):
            shell.part(face, 0.07, 0.05, 0.93, 0.88, glass)
            shell.part(face, 0.07, 0.52, 0.93, 0.88, shine)
            for seat in (0.22, 0.64):
                shell.part(face, seat, 0.05, seat + 0.14, 0.34, mix(glass, (0, 0, 0), 0.5))
