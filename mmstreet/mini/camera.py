"""A pinhole camera above a flat street, and the little solid geometry that scenes need.

World axes are metres: ``x`` to the right, ``y`` up from the road, ``z`` ahead of the camera. Picture axes are pixels,
``u`` to the right and ``v`` down.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NEAR = 0.8
"""Geometry nearer than this, in metres, is cut off."""
FAR = 400.0
"""Where the street ends, in metres."""

Point = tuple[float, float, float]
Pixel = tuple[float, float]


@dataclass(frozen=True)
class Camera:
    """Projection of the street into a picture.

    Attributes:
        size_wh: Width and height of the picture in pixels.
        focal: Focal length in pixels.
        horizon: Row of the horizon.
        height: Height of the lens above the road in metres.
        bend: Sideways drift of the street in metres per square metre ahead; 0 is straight, positive bends right.
    """

    size_wh: tuple[int, int]
    focal: float
    horizon: float
    height: float
    bend: float

    def scale(self, z: float) -> float:
        """Return the pixels per metre at distance ``z``."""
        return self.focal / max(z, NEAR)

    def project(self, x: float, y: float, z: float) -> Pixel:
        """Return the picture position of a world point; points nearer than :data:`NEAR` are pushed out to it."""
        z = max(z, NEAR)
        k = self.focal / z
        return self.size_wh[0] / 2 + (x + self.bend * z * z) * k, self.horizon + (self.height - y) * k

    def polygon(self, points: Sequence[Point]) -> list[Pixel]:
        """Project a polygon after cutting off what lies nearer than :data:`NEAR`.

        Args:
            points: Corners in world coordinates.

        Returns:
            Corners in pixels; empty when all of the polygon is too near.
        """
        if min(p[2] for p in points) < NEAR:
            points = _clip_near(points)
        return [self.project(*p) for p in points]

    def row_depths(self, rows: np.ndarray) -> np.ndarray:
        """Return the distance of the road in each row, in metres; ``inf`` at the horizon and above."""
        below = np.maximum(rows - self.horizon, 0.0)
        with np.errstate(divide="ignore"):
            return self.focal * self.height / below


def _clip_near(points: Sequence[Point]) -> list[Point]:
    """Cut a polygon at the plane ``z = NEAR`` (Sutherland and Hodgman, 1974)."""
    kept: list[Point] = []
    for a, b in zip(points, [*points[1:], points[0]]):
        if a[2] >= NEAR:
            kept.append(a)
        if (a[2] >= NEAR) != (b[2] >= NEAR):
            t = (NEAR - a[2]) / (b[2] - a[2])
            kept.append((a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), NEAR))
    return kept


@dataclass(frozen=True)
class Pose:
    """Where an object stands and where it looks: ``yaw`` 0 drives away from the camera, pi comes towards it."""

    x: float
    z: float
    yaw: float = 0.0

    def world(self, a: float, y: float, b: float) -> Point:
        """Return the world point that lies ``a`` to the right of, ``y`` above and ``b`` ahead of the object's centre."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return self.x + a * c + b * s, y, self.z - a * s + b * c


def face_normal(points: Sequence[Point]) -> Point:
    """Return the unit normal of a planar face whose corners run clockwise when seen from outside."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = points[0], points[1], points[2]
    ux, uy, uz, vx, vy, vz = bx - ax, by - ay, bz - az, cx - bx, cy - by, cz - bz
    n = (uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx)
    length = math.sqrt(n[0] ** 2 + n[1] ** 2 + n[2] ** 2) or 1.0
    return n[0] / length, n[1] / length, n[2] / length


def faces_camera(pixels: Sequence[Pixel]) -> bool:
    """Tell whether a projected face is seen from outside, i.e. its corners run clockwise in the picture."""
    area = sum(p[0] * q[1] - q[0] * p[1] for p, q in zip(pixels, [*pixels[1:], pixels[0]]))
    return area > 0


def on_face(face: Sequence[Point], s0: float, t0: float, s1: float, t1: float) -> list[Point]:
    """Return the part of a four-cornered face between two fractions along its first and along its second edge.

    Args:
        face: Corners bottom-left, top-left, top-right, bottom-right as seen from outside.
        s0: Left end, 0 at the left edge and 1 at the right edge.
        t0: Lower end, 0 at the bottom and 1 at the top.
        s1: Right end.
        t1: Upper end.
    """
    (ax, ay, az), (bx, by, bz), (cx, cy, cz), (dx, dy, dz) = face
    corners = []
    for s, t in ((s0, t0), (s0, t1), (s1, t1), (s1, t0)):
        a, b, c, d = (1 - s) * (1 - t), (1 - s) * t, s * t, s * (1 - t)
        corners.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy, a * az + b * bz + c * cz + d * dz))
    return corners
