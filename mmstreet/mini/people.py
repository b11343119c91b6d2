"""People on foot, bicycles, motorcycles, and the riders on them; rider and two-wheeler are separate instances."""

from __future__ import annotations

import math

import numpy as np

from mmstreet.mini.camera import Point, Pose
from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.light import Rgb, mix, vary

_SKIN: tuple[Rgb, ...] = ((0.86, 0.68, 0.56), (0.72, 0.52, 0.40), (0.52, 0.36, 0.27), (0.36, 0.25, 0.20))
_CLOTH: tuple[Rgb, ...] = (
    (0.12, 0.13, 0.16), (0.22, 0.27, 0.42), (0.55, 0.12, 0.14), (0.80, 0.80, 0.78), (0.36, 0.38, 0.40), (0.16, 0.34, 0.28),
    (0.78, 0.60, 0.20),
    (0.45, 0.30, 0.46), (0.62, 0.50, 0.38), (0.20, 0.46, 0.62), (0.90, 0.46, 0.14),
)  # fmt: skip
_TROUSERS: tuple[Rgb, ...] = ((0.13, 0.14, 0.20), (0.20, 0.25, 0.36), (0.10, 0.10, 0.11), (0.40, 0.36, 0.30), (0.30, 0.30, 0.31))


class _Figure:
    """Paints and strokes of one person in its own frame: across, up, along."""

    def __init__(self, canvas: Canvas, rng: np.random.Generator, pose: Pose, name: str, size: float):
        self.canvas, self.pose, self.size = canvas, pose, size

        def paint(rgb: Rgb) -> int:
            return canvas.paint(rgb, name, z=pose.z, texture="plaster")

        coat = vary(rng, _CLOTH[rng.integers(len(_CLOTH))], 0.15)
        legs = vary(rng, _TROUSERS[rng.integers(len(_TROUSERS))], 0.15)
        skin = _SKIN[rng.integers(len(_SKIN))]
        hair = ((0.08, 0.06, 0.05), (0.30, 0.20, 0.12), (0.55, 0.44, 0.28), (0.5, 0.5, 0.5))[rng.integers(4)]
        self.coat, self.coat_dark, self.legs, self.legs_dark = (
            paint(coat),
            paint(mix(coat, (0, 0, 0), 0.3)),
            paint(legs),
            paint(mix(legs, (0, 0, 0), 0.3)),
        )
        self.skin, self.hair, self.shoe = paint(skin), paint(hair), paint((0.09, 0.08, 0.08))
        self.helmet = paint(vary(rng, _CLOTH[rng.integers(len(_CLOTH))], 0.2))
        self.bag = paint(vary(rng, _CLOTH[rng.integers(len(_CLOTH))], 0.2))

    def at(self, a: float, y: float, b: float) -> Point:
        """Return a world point from one in metres of a person 1.75 m tall."""
        return self.pose.world(a * self.size, y * self.size, b * self.size)

    def limb(self, joints: list[Point], widths: list[float], paint: int) -> None:
        """Draw a chain of tapered strokes through joints."""
        for p, q, wp, wq in zip(joints, joints[1:], widths, widths[1:]):
            self.canvas.limb(self.at(*p), self.at(*q), wp * self.size, wq * self.size, paint)

    def head(self, a: float, y: float, b: float, *, helmet: bool) -> None:
        """Draw neck, head and hair or helmet."""
        scale = self.canvas.camera.scale(self.pose.z) * self.size
        u, v = self.canvas.camera.project(*self.at(a, y, b))
        self.canvas.disc((u, v), 0.105 * scale, self.skin, flatten=1.25)
        if helmet:
            self.canvas.disc((u, v - 0.05 * scale), 0.135 * scale, self.helmet, flatten=0.85)
            return
        self.canvas.disc((u, v - 0.06 * scale), 0.115 * scale, self.hair, flatten=0.8)
        if math.cos(self.pose.yaw) > 0.3:
            self.canvas.disc((u, v), 0.11 * scale, self.hair, flatten=1.1)


def render_pedestrian(canvas: Canvas, rng: np.random.Generator, pose: Pose, *, walking: bool) -> None:
    """Draw a person on foot, standing or in mid-stride."""
    with canvas.instance("person"):
        size = rng.uniform(0.88, 1.08) if rng.random() < 0.9 else rng.uniform(0.6, 0.75)
        f = _Figure(canvas, rng, pose, "person", size)
        _cast_body_shadow(canvas, pose, 1.7 * size)
        step = rng.uniform(0.18, 0.34) * (1 if rng.random() < 0.5 else -1) if walking else rng.uniform(-0.03, 0.03)
        skirt = rng.random() < 0.15
        f.limb([(-0.25, 1.38, 0), (-0.30, 1.08, -step * 0.5), (-0.27, 0.80, -step * 0.9)], [0.13, 0.11, 0.08], f.coat_dark)
        f.limb([(-0.09, 0.88, 0), (-0.10, 0.48, step * 0.55), (-0.10, 0.06, step * 0.9)], [0.19, 0.15, 0.10], f.legs_dark)
        f.limb([(-0.10, 0.05, step * 0.9), (-0.10, 0.04, step * 0.9 + 0.18)], [0.10, 0.09], f.shoe)
        f.limb([(0.09, 0.88, 0), (0.10, 0.48, -step * 0.55), (0.10, 0.06, -step)], [0.19, 0.15, 0.10], f.legs)
        f.limb([(0.10, 0.05, -step), (0.10, 0.04, -step + 0.18)], [0.10, 0.09], f.shoe)
        f.limb([(0, 0.86, 0), (0, 1.18, 0), (0, 1.38, 0)], [0.36, 0.40, 0.36], f.coat)
        if skirt:
            f.limb([(0, 0.92, 0), (0, 0.5, 0)], [0.36, 0.5], f.coat_dark)
        if rng.random() < 0.4:
            f.limb([(0, 1.32, -0.17), (0, 1.0, -0.2)], [0.3, 0.34], f.bag)
        f.limb([(0.25, 1.38, 0), (0.30, 1.08, step * 0.5), (0.27, 0.80, step * 0.9)], [0.13, 0.11, 0.08], f.coat)
        f.limb([(0.27, 0.82, step * 0.9), (0.27, 0.76, step)], [0.08, 0.08], f.skin)
        if rng.random() < 0.2:
            f.limb([(0.30, 0.66, step * 0.9), (0.30, 0.44, step * 0.9)], [0.2, 0.26], f.bag)
        f.head(0, 1.60, 0.02, helmet=False)
        if canvas.light.weather == "rainy" and rng.random() < 0.5:
            _render_umbrella(canvas, f)


def render_bicycle(canvas: Canvas, rng: np.random.Generator, pose: Pose, *, ridden: bool) -> None:
    """Draw a bicycle, and if it is ridden the rider in an instance of its own."""
    rgb = vary(
        rng,
        ((0.12, 0.12, 0.13), (0.60, 0.12, 0.12), (0.14, 0.30, 0.55), (0.80, 0.80, 0.78), (0.20, 0.45, 0.30), (0.85, 0.50, 0.12))[
            rng.integers(6)
        ],
        0.15,
    )
    with canvas.instance("bicycle"):
        _cast_body_shadow(canvas, pose, 1.0)
        _render_wheel(canvas, pose, "bicycle", -0.52, 0.34, 0.055, rgb=None)
        _render_wheel(canvas, pose, "bicycle", 0.52, 0.34, 0.055, rgb=None)
        frame = canvas.paint(rgb, "bicycle", z=pose.z)
        black = canvas.paint((0.08, 0.08, 0.08), "bicycle", z=pose.z)
        rear, crank, seat, head, front = (0, 0.34, -0.52), (0, 0.30, -0.05), (0, 0.88, -0.22), (0, 0.86, 0.34), (0, 0.34, 0.52)
        for a, b in ((rear, crank), (rear, seat), (crank, seat), (crank, head), (seat, head), (head, front)):
            canvas.limb(pose.world(*a), pose.world(*b), 0.05, 0.05, frame, thinnest=1.6)
        canvas.limb(pose.world(0, 0.96, -0.34), pose.world(0, 0.98, -0.12), 0.09, 0.06, black, thinnest=1.6)
        canvas.limb(pose.world(0, 0.86, 0.34), pose.world(0, 1.04, 0.32), 0.05, 0.05, black, thinnest=1.6)
        canvas.limb(pose.world(-0.27, 1.06, 0.3), pose.world(0.27, 1.06, 0.3), 0.05, 0.05, black, thinnest=1.6)
        if canvas.light.lamps_on:
            canvas.limb(pose.world(0, 0.75, -0.5), pose.world(0, 0.7, -0.5), 0.1, 0.1, canvas.paint((1, 0.1, 0.05), "bicycle", glow=0.8))
    if ridden:
        _render_rider(
            canvas,
            rng,
            pose,
            saddle=(0.98, -0.22),
            grip=(1.08, 0.28, 0.26),
            pedal=(0.30, -0.05),
            lean=rng.uniform(0.05, 0.3),
            helmet=rng.random() < 0.7,
        )


def render_motorcycle(canvas: Canvas, rng: np.random.Generator, pose: Pose, *, ridden: bool) -> None:
    """Draw a motorcycle or scooter, and if it is ridden the rider in an instance of its own."""
    rgb = vary(
        rng, ((0.10, 0.10, 0.11), (0.65, 0.10, 0.10), (0.14, 0.22, 0.50), (0.75, 0.76, 0.78), (0.20, 0.38, 0.24))[rng.integers(5)], 0.15
    )
    with canvas.instance("motorcycle"):
        _cast_body_shadow(canvas, pose, 1.3)
        for b in (-0.68, 0.72):
            _render_wheel(canvas, pose, "motorcycle", b, 0.32, 0.14, rgb=(0.30, 0.30, 0.31))
        body = canvas.paint(rgb, "motorcycle", z=pose.z)
        dark = canvas.paint((0.09, 0.09, 0.10), "motorcycle", z=pose.z)
        steel = canvas.paint((0.60, 0.60, 0.61), "motorcycle", z=pose.z)

        def stroke(a: Point, b: Point, wide: float, narrow: float, paint: int) -> None:
            canvas.limb(pose.world(*a), pose.world(*b), wide, narrow, paint, thinnest=1.6)

        stroke((0, 0.42, -0.3), (0, 0.45, 0.3), 0.34, 0.32, dark)
        stroke((0, 0.36, -0.75), (0, 0.36, 0.1), 0.09, 0.09, steel)
        stroke((0, 0.70, -0.75), (0, 0.74, -0.05), 0.16, 0.2, dark)
        stroke((0, 0.62, -0.85), (0, 0.74, -0.6), 0.2, 0.22, body)
        stroke((0, 0.76, 0.02), (0, 0.82, 0.38), 0.28, 0.26, body)
        stroke((0, 0.86, 0.46), (0, 0.34, 0.72), 0.08, 0.08, steel)
        stroke((0, 0.64, 0.68), (0, 0.66, 0.8), 0.18, 0.12, body)
        stroke((-0.36, 1.02, 0.36), (0.36, 1.02, 0.36), 0.06, 0.06, dark)
        stroke((0, 0.9, 0.52), (0, 1.14, 0.42), 0.26, 0.18, dark)
        lit = canvas.light.lamps_on
        for b, tone, glow in ((0.62, (1.0, 0.96, 0.85), 1.0 if lit else 0.2), (-0.92, (0.9, 0.08, 0.06), 0.8 if lit else 0.1)):
            if (b > 0) == (math.cos(pose.yaw) < 0):
                stroke(
                    (-0.07, 0.82 if b > 0 else 0.68, b),
                    (0.07, 0.82 if b > 0 else 0.68, b),
                    0.16,
                    0.16,
                    canvas.paint(tone, "motorcycle", z=pose.z, glow=glow),
                )
    if ridden:
        _render_rider(
            canvas, rng, pose, saddle=(0.82, -0.18), grip=(1.06, 0.34, 0.34), pedal=(0.36, 0.05), lean=rng.uniform(0.0, 0.15), helmet=True
        )


def _render_rider(
    canvas: Canvas,
    rng: np.random.Generator,
    pose: Pose,
    *,
    saddle: tuple[float, float],
    grip: tuple[float, float, float],
    pedal: tuple[float, float],
    lean: float,
    helmet: bool,
) -> None:
    """Draw a seated person; places are (up, along), for the grip (up, along, across)."""
    with canvas.instance("rider"):
        f = _Figure(canvas, rng, pose, "rider", 1.0)
        hip_y, hip_b = saddle[0] + 0.05, saddle[1]
        shoulder_y, shoulder_b = hip_y + 0.50 - 0.3 * lean, hip_b + 0.16 + lean
        turn = rng.uniform(0, 2 * math.pi)
        for a, phase, paint in ((-1, 0.0, f.legs_dark), (1, math.pi, f.legs)):
            foot_y, foot_b = pedal[0] + 0.15 * math.sin(turn + phase), pedal[1] + 0.15 * math.cos(turn + phase)
            knee = (a * 0.15, (hip_y + foot_y) / 2 + 0.10, (hip_b + foot_b) / 2 + 0.26)
            f.limb([(a * 0.10, hip_y, hip_b), knee, (a * 0.14, foot_y, foot_b)], [0.20, 0.15, 0.10], paint)
            f.limb([(a * 0.14, foot_y - 0.03, foot_b - 0.03), (a * 0.14, foot_y - 0.04, foot_b + 0.16)], [0.10, 0.08], f.shoe)
            elbow = (a * 0.30, shoulder_y - 0.26, shoulder_b + 0.10)
            f.limb([(a * 0.20, shoulder_y - 0.04, shoulder_b), elbow, (a * grip[2], grip[0], grip[1])], [0.13, 0.11, 0.08], f.coat_dark)
        f.limb(
            [(0, hip_y, hip_b), (0, (hip_y + shoulder_y) / 2, (hip_b + shoulder_b) / 2), (0, shoulder_y, shoulder_b)],
            [0.34, 0.38, 0.38],
            f.coat,
        )
        if rng.random() < 0.3:
            f.limb([(0, shoulder_y - 0.05, shoulder_b - 0.15), (0, shoulder_y - 0.35, hip_b - 0.1)], [0.28, 0.32], f.bag)
        f.head(0, shoulder_y + 0.24, shoulder_b + 0.05, helmet=helmet)


def _render_wheel(canvas: Canvas, pose: Pose, name: str, b: float, radius: float, tyre: float, *, rgb: Rgb | None) -> None:
    """Draw a wheel as a disc with tyre and spokes; end on it is an upright stroke of the tyre's width.

    The space between spokes belongs to the wheel, as people draw it when they label; it is filled with a grey that
    stands for spokes before asphalt.
    """
    turn = np.linspace(0, 2 * math.pi, 19)[:-1]
    rim = [pose.world(0, radius + radius * math.sin(t), b + radius * math.cos(t)) for t in turn]
    rubber = canvas.paint((0.07, 0.07, 0.07), name, z=pose.z)
    inner = canvas.paint(rgb or (0.36, 0.37, 0.38), name, z=pose.z, texture="rough")
    canvas.limb(pose.world(0, 0.03, b), pose.world(0, 2 * radius - 0.03, b), tyre, tyre, rubber, thinnest=OVERSAMPLING)
    canvas.fill(rim, rubber)
    small = [pose.world(0, radius + (radius - tyre) * math.sin(t), b + (radius - tyre) * math.cos(t)) for t in turn]
    canvas.fill(small, inner)
    spoke = canvas.paint((0.62, 0.62, 0.63), name, z=pose.z)
    if rgb is None and canvas.camera.scale(pose.z) > 30:
        for i in range(0, 18, 2):
            canvas.limb(pose.world(0, radius, b), small[i], 0.012, 0.012, spoke)
    canvas.limb(pose.world(0, radius, b - 0.03), pose.world(0, radius, b + 0.03), 0.07, 0.07, spoke)


def _cast_body_shadow(canvas: Canvas, pose: Pose, height: float) -> None:
    around = np.linspace(0, 2 * math.pi, 10)[:-1]
    canvas.cast_shadow([(pose.x + 0.35 * math.cos(t), 0, pose.z + 0.35 * math.sin(t)) for t in around], 0.5)
    sx, sy, sz = canvas.light.sun
    if max(canvas.light.sun_rgb) > 0.2:
        reach = min(3.0, 1.0 / max(sy, 0.2)) * height * 0.6
        tip = (pose.x - sx * reach, 0.0, pose.z - sz * reach)
        canvas.cast_shadow(
            [(pose.x - 0.2, 0, pose.z), (tip[0] - 0.2, 0, tip[2]), (tip[0] + 0.2, 0, tip[2]), (pose.x + 0.2, 0, pose.z)], 0.42
        )


def _render_umbrella(canvas: Canvas, f: _Figure) -> None:
    f.limb([(0.27, 1.2, 0.1), (0.12, 2.0, 0.05)], [0.03, 0.03], f.shoe)
    scale = canvas.camera.scale(f.pose.z) * f.size
    u, v = canvas.camera.project(*f.at(0.12, 1.86, 0.05))
    arc = [(u + 0.55 * scale * math.cos(t), v - 0.32 * scale * math.sin(t)) for t in np.linspace(0, math.pi, 14)]
    canvas.flat(arc, f.bag)
