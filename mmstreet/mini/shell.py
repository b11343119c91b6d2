"""The frame in which vehicles are built: faces of solids, wheels, lamps and the shadow underneath."""

from __future__ import annotations

import math

import numpy as np

from mmstreet.mini.camera import Point, Pose, on_face
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Rgb, mix

BODY_PAINTS: tuple[Rgb, ...] = (
    (0.86, 0.86, 0.86),
    (0.70, 0.71, 0.72),
    (0.42, 0.43, 0.45),
    (0.10, 0.10, 0.11),
    (0.16, 0.17, 0.20),
    (0.55, 0.10, 0.10),
    (0.12, 0.20, 0.42),
    (0.30, 0.34, 0.36),
    (0.62, 0.58, 0.50),
    (0.14, 0.28, 0.22),
    (0.82, 0.66, 0.16),
    (0.36, 0.20, 0.16),
)
"""Colours of vehicles, the frequent ones first."""
NEAR_DETAIL = 22.0
"""Scale in canvas pixels per metre below which small parts are left out."""
_RUBBER: Rgb = (0.07, 0.07, 0.075)
_TAIL: Rgb = (0.58, 0.05, 0.05)


class Shell:
    """Faces of one vehicle in its own frame: across, up, along."""

    def __init__(self, canvas: Canvas, pose: Pose, name: str):
        self.canvas, self.pose, self.name = canvas, pose, name

    def face(self, points: list[Point], rgb: Rgb, *, texture: str = "smooth", glow: float = 0.0) -> bool:
        """Draw a face given clockwise from outside in the vehicle's frame; return whether it is seen."""
        return self.canvas.panel([self.pose.world(*p) for p in points], rgb, self.name, texture=texture, glow=glow)

    def part(self, face: list[Point], s0: float, t0: float, s1: float, t1: float, rgb: Rgb, glow: float = 0.0) -> bool:
        """Draw the part of a four-cornered face between fractions of its width and height."""
        return self.face(on_face(face, s0, t0, s1, t1), rgb, glow=glow)

    @staticmethod
    def box_face(which: str, w: float, y0: float, y1: float, b: float) -> list[Point]:
        """Return the ``'front'`` or ``'rear'`` face of a box at position ``b`` along the vehicle."""
        left, right = (-w, w) if which == "rear" else (w, -w)
        return [(left, y0, b), (left, y1, b), (right, y1, b), (right, y0, b)]

    @staticmethod
    def side_face(which: str, w: float, y0: float, y1: float, b0: float, b1: float) -> list[Point]:
        """Return the ``'left'`` or ``'right'`` face of a box between two positions along the vehicle."""
        a, first, last = (-w, b1, b0) if which == "left" else (w, b0, b1)
        return [(a, y0, first), (a, y1, first), (a, y1, last), (a, y0, last)]

    def box(self, w: float, y0: float, y1: float, b0: float, b1: float, rgb: Rgb, *, texture: str = "smooth") -> None:
        """Draw the faces of a box that the camera sees; the roof is above the camera or barely seen."""
        self.face([(-w, y1, b0), (-w, y1, b1), (w, y1, b1), (w, y1, b0)], mix(rgb, (1, 1, 1), 0.15), texture=texture)
        for which in ("left", "right"):
            self.face(self.side_face(which, w, y0, y1, b0, b1), rgb, texture=texture)
        self.face(self.box_face("front", w, y0, y1, b1), rgb, texture=texture)
        self.face(self.box_face("rear", w, y0, y1, b0), rgb, texture=texture)


def render_vehicle_shadow(canvas: Canvas, pose: Pose, length: float, width: float) -> None:
    """Darken the ground under a vehicle and, in sunshine, on its far side."""
    sx, sy, sz = canvas.light.sun
    reach = min(2.5, 1.1 / max(sy, 0.25)) if max(canvas.light.sun_rgb) > 0.2 else 0.0
    w, end = width / 2 + 0.12, length / 2 + 0.15
    base = [pose.world(a, 0, b) for a, b in ((-w, -end), (-w, end), (w, end), (w, -end))]
    if reach:
        canvas.cast_shadow([(x - sx * reach, 0.0, z - sz * reach) for x, _, z in base], 0.45)
    canvas.cast_shadow(base, 0.62)


def render_underside(canvas: Canvas, pose: Pose, name: str, w: float, axles: tuple[float, ...], radius: float) -> None:
    """Draw the dark underside and the tyres as seen from front and rear."""
    shell = Shell(canvas, pose, name)
    b0, b1 = min(axles), max(axles)
    for which, b in (("rear", b0), ("front", b1)):
        shell.face(shell.box_face(which, w * 0.9, 0.15, 0.45, b), (0.035, 0.035, 0.035))
    for b in axles:
        for a in (-w + 0.12, w - 0.12):
            for which, edge in (("rear", b - radius * 0.8), ("front", b + radius * 0.8)):
                face = [(a + p[0], p[1], p[2]) for p in shell.box_face(which, 0.12, 0.0, radius * 1.4, edge)]
                shell.face(face, _RUBBER)


def render_wheels(canvas: Canvas, pose: Pose, name: str, w: float, axles: tuple[float, ...], radius: float) -> None:
    """Draw wheel arch, tyre and rim on the flank that the camera sees."""
    shell = Shell(canvas, pose, name)
    parts = [(1.18, 0.1, (0.05, 0.05, 0.05)), (1.0, 0.0, _RUBBER), (0.62, 0.0, (0.52, 0.53, 0.54)), (0.2, 0.0, (0.2, 0.2, 0.2))]
    for a in (-1, 1):
        turn = [(math.cos(t), math.sin(t)) for t in np.linspace(0, -2 * math.pi * a, 15)[:-1]]
        for b in axles:
            for share, floor, rgb in parts:
                r = share * radius
                if not shell.face([(a * (w + 0.01), max(floor, radius + r * v), b + r * u) for u, v in turn], rgb):
                    break
                if canvas.camera.scale(pose.z) < NEAR_DETAIL and share == 1.0:
                    break


def render_lamps(
    canvas: Canvas, shell: Shell, face: list[Point], *, front: bool, braking: bool, low: float, high: float, wide: float = 0.18
) -> tuple[Rgb, float]:
    """Draw the pair of lamps on a front or rear face, lit when it is dark or the brakes are on.

    Args:
        canvas: Where to draw.
        shell: The vehicle.
        face: Face that carries the lamps.
        front: Headlamps instead of rear lamps.
        braking: Brake lamps are on.
        low: Lower edge as a fraction of the face's height.
        high: Upper edge.
        wide: Width of one lamp as a fraction of the face's width.

    Returns:
        Colour of the lamps, and the share of it that shines.
    """
    lit = canvas.light.lamps_on
    if front:
        rgb, glow = ((1.0, 0.97, 0.88), 1.0) if lit else ((0.80, 0.82, 0.84), 0.0)
    else:
        rgb, glow = ((1.0, 0.12, 0.08), 0.9) if braking else ((0.85, 0.08, 0.06), 0.6) if lit else (_TAIL, 0.0)
    for s0, s1 in ((0.0, wide), (1.0 - wide, 1.0)):
        if shell.part(face, s0, low, s1, high, rgb, glow) and glow:
            centre = on_face(face, (s0 + s1) / 2, (low + high) / 2, 1, 1)[0]
            dark = canvas.light.headlight > 0
            canvas.lamp(shell.pose.world(*centre), (0.9 if front else 0.5) if dark else 0.28, rgb)
    return rgb, glow
