"""Trucks, buses and trams as solids with wheels, glass and lamps; each is one instance."""

from __future__ import annotations

import math

import numpy as np

from mmstreet.mini.camera import Pose
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Rgb, mix, vary
from mmstreet.mini.shell import BODY_PAINTS, Shell, render_lamps, render_underside, render_vehicle_shadow, render_wheels


def render_truck(canvas: Canvas, rng: np.random.Generator, pose: Pose) -> None:
    """Draw a box truck or a lorry: a cab and a cargo body."""
    length, width, height = rng.uniform(6.5, 11.0), rng.uniform(2.2, 2.5), rng.uniform(2.9, 3.7)
    rgb = vary(rng, BODY_PAINTS[rng.integers(len(BODY_PAINTS))], 0.1)
    cargo = vary(
        rng, ((0.88, 0.88, 0.87), (0.75, 0.74, 0.70), (0.20, 0.32, 0.55), (0.65, 0.20, 0.16), (0.82, 0.68, 0.24))[rng.integers(5)], 0.1
    )
    with canvas.instance("truck"):
        render_vehicle_shadow(canvas, pose, length, width)
        w, end = width / 2, length / 2
        axles = (-end + 1.2, -end + 2.4, end - 1.0)
        render_underside(canvas, pose, "truck", w, axles, 0.48)
        shell = Shell(canvas, pose, "truck")
        cab_back = end - rng.uniform(1.7, 2.2)

        def cab() -> None:
            shell.box(w * 0.95, 0.45, 2.5, cab_back, end, rgb)
            glass = mix((0.12, 0.15, 0.18), canvas.light.sky_low, 0.25)
            face = shell.box_face("front", w * 0.95, 0.45, 2.5, end)
            shell.part(face, 0.06, 0.52, 0.94, 0.93, glass)
            shell.part(face, 0.2, 0.2, 0.8, 0.42, mix(rgb, (0.08, 0.08, 0.08), 0.75))
            render_lamps(canvas, shell, face, front=True, braking=False, low=0.08, high=0.2)
            for name in ("left", "right"):
                shell.part(shell.side_face(name, w * 0.95, 0.45, 2.5, cab_back, end), 0.2, 0.55, 0.85, 0.92, glass)

        def body() -> None:
            shell.box(w, 0.95, height, -end, cab_back - 0.12, cargo, texture="plaster")
            stripe = BODY_PAINTS[rng.integers(len(BODY_PAINTS))]
            for name in ("left", "right"):
                face = shell.side_face(name, w, 0.95, height, -end, cab_back - 0.12)
                shell.part(face, 0.1, 0.35, 0.9, 0.68, mix(cargo, stripe, 0.7))
                for i in range(1, 6):
                    shell.part(face, i / 6, 0, i / 6 + 0.006, 1, mix(cargo, (0, 0, 0), 0.25))
                shell.part(shell.side_face(name, w * 0.9, 0.6, 0.95, -end, cab_back), 0, 0, 1, 1, (0.10, 0.10, 0.11))
            rear = shell.box_face("rear", w, 0.95, height, -end)
            shell.part(rear, 0.04, 0.03, 0.96, 0.97, mix(cargo, (0, 0, 0), 0.12))
            shell.part(rear, 0.49, 0.03, 0.51, 0.97, mix(cargo, (0, 0, 0), 0.5))
            for s in (0.3, 0.7):
                shell.part(rear, s, 0.05, s + 0.02, 0.95, mix(cargo, (0, 0, 0), 0.3))
            bumper = shell.box_face("rear", w, 0.5, 0.95, -end)
            shell.part(bumper, 0, 0, 1, 1, (0.13, 0.13, 0.14))
            render_lamps(canvas, shell, bumper, front=False, braking=rng.random() < 0.4, low=0.45, high=0.85)

        for part in (cab, body) if math.cos(pose.yaw) > 0 else (body, cab):
            part()
        render_wheels(canvas, pose, "truck", w, axles, 0.48)


def render_bus(canvas: Canvas, rng: np.random.Generator, pose: Pose) -> None:
    """Draw a town bus with a window band, doors and a lit destination sign."""
    length, width, height = rng.uniform(10.0, 12.5), 2.5, rng.uniform(2.95, 3.25)
    rgb = vary(
        rng, ((0.80, 0.14, 0.12), (0.92, 0.92, 0.90), (0.16, 0.36, 0.62), (0.92, 0.70, 0.14), (0.22, 0.48, 0.32))[rng.integers(5)], 0.1
    )
    with canvas.instance("bus"):
        render_vehicle_shadow(canvas, pose, length, width)
        w, end = width / 2, length / 2
        render_underside(canvas, pose, "bus", w, (-end + 2.8, end - 2.6), 0.48)
        _render_coach(canvas, rng, pose, "bus", w, end, 0.32, height, rgb, windows=9)
        render_wheels(canvas, pose, "bus", w, (-end + 2.8, end - 2.6), 0.48)


def render_tram(canvas: Canvas, rng: np.random.Generator, pose: Pose) -> None:
    """Draw a tram of two cars as one instance of class train."""
    rgb = vary(rng, ((0.82, 0.80, 0.72), (0.75, 0.12, 0.12), (0.24, 0.42, 0.56), (0.72, 0.74, 0.76))[rng.integers(4)], 0.1)
    with canvas.instance("train"):
        render_vehicle_shadow(canvas, pose, 26.0, 2.6)
        for offset in (7.0, -7.0) if math.cos(pose.yaw) > 0 else (-7.0, 7.0):
            x, _, z = pose.world(0, 0, offset)
            _render_coach(canvas, rng, Pose(x, z, pose.yaw), "train", 1.3, 6.6, 0.25, 3.5, rgb, windows=8)


def _render_coach(
    canvas: Canvas,
    rng: np.random.Generator,
    pose: Pose,
    name: str,
    w: float,
    end: float,
    floor: float,
    height: float,
    rgb: Rgb,
    *,
    windows: int,
) -> None:
    """Draw the body that buses and trams share."""
    shell = Shell(canvas, pose, name)
    shell.box(w, floor, height, -end, end, rgb)
    night = canvas.light.timeofday == "night"
    glass = (0.95, 0.86, 0.62) if night else mix((0.10, 0.12, 0.15), canvas.light.sky_low, 0.22)
    glow, dark = (0.55 if night else 0.0), mix(rgb, (0.05, 0.05, 0.05), 0.6)
    stripe = vary(rng, mix(rgb, (0.95, 0.95, 0.95), 0.75), 0.1)
    for which in ("left", "right"):
        face = shell.side_face(which, w, floor, height, -end, end)
        shell.part(face, 0.0, 0.0, 1.0, 0.12, dark)
        shell.part(face, 0.0, 0.34, 1.0, 0.40, stripe)
        shell.part(face, 0.015, 0.46, 0.985, 0.84, (0.07, 0.07, 0.08))
        for i in range(windows):
            shell.part(face, (i + 0.14) / windows, 0.48, (i + 0.90) / windows, 0.82, glass, glow)
        if which == "right":
            for s in (0.12, 0.52, 0.86):
                shell.part(face, s, 0.06, s + 0.075, 0.82, mix(glass, (0.05, 0.05, 0.05), 0.35), glow)
    for which, b, front in (("rear", -end, False), ("front", end, True)):
        face = shell.box_face(which, w, floor, height, b)
        shell.part(face, 0.0, 0.0, 1.0, 0.1, dark)
        low = 0.36 if front else 0.5
        shell.part(face, 0.06, low, 0.94, 0.80, glass if not front else mix(glass, (0.1, 0.12, 0.15), 0.5), glow * 0.5)
        shell.part(face, 0.18, 0.84, 0.82, 0.95, (0.06, 0.06, 0.06))
        shell.part(face, 0.26, 0.87, 0.74, 0.93, (1.0, 0.62, 0.12), 0.8)
        shell.part(face, 0.4, 0.14, 0.6, 0.2, (0.84, 0.84, 0.80))
        render_lamps(canvas, shell, face, front=front, braking=False, low=0.16, high=0.24 if front else 0.34)
