"""The canvas: one picture of paint numbers from which colour, class and instance are looked up.

A primitive is drawn once, as a number. Three tables turn numbers into colours, classes and instances, so the three can
never disagree, and drawing from far to near gives the right occlusion in all of them. The canvas is twice as large as
the picture: colours are averaged on the way down, labels are sampled and stay hard.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw

from mmstreet.labels import BDD100K_SEM19, IGNORE_INDEX
from mmstreet.mini.camera import Camera, Pixel, Point, face_normal, faces_camera
from mmstreet.mini.light import Light, Rgb

OVERSAMPLING = 2
"""Canvas pixels per picture pixel, along each axis."""

TEXTURES = {
    "smooth": (0.012, 0.015, 0.0),
    "rough": (0.045, 0.07, 0.0),
    "plaster": (0.025, 0.05, 0.0),
    "leaf": (0.06, 0.06, 0.38),
    "asphalt": (0.05, 0.09, 0.0),
    "grass": (0.09, 0.12, 0.22),
}
"""Strength of fine grain, of broad blotches and of clumps, by the name of the surface."""

_LIMIT = 30_000.0


@dataclass
class Instance:
    """One countable object: class name, how much of it was painted, and whether it leaves the picture."""

    name: str
    painted: int = 0
    truncated: bool = False
    bounds: list[float] = field(default_factory=lambda: [math.inf, math.inf, -math.inf, -math.inf])


class Canvas:
    """Paint numbers of one scene.

    Args:
        camera: Projection, in canvas pixels.
        light: What lights the scene.
    """

    def __init__(self, camera: Camera, light: Light):
        self.camera = camera
        self.light = light
        self.image = Image.new("I", camera.size_wh, 0)
        self.shadow = Image.new("L", camera.size_wh, 0)
        self.instances: list[Instance] = []
        self.lamps: list[tuple[float, float, float, Rgb]] = []
        self._pen = ImageDraw.Draw(self.image)
        self._shadow_pen = ImageDraw.Draw(self.shadow)
        self._current = 0
        self._rows: list[tuple[Rgb, int, int, tuple[float, float, float], bool, float]] = []
        self.paint((0, 0, 0), "sky", texture="smooth")

    def paint(
        self,
        rgb: Rgb,
        name: str | None,
        *,
        normal: Point | None = None,
        z: float = 0.0,
        texture: str = "smooth",
        ground: bool = False,
        glow: float = 0.0,
    ) -> int:
        """Mix a paint and return its number.

        Args:
            rgb: Colour in white light, each in ``[0, 1]``.
            name: Class name in BDD100K's 19 classes, or ``None`` for unlabelled.
            normal: Unit normal of the painted face, if it is flat.
            z: Distance in metres.
            texture: A key of :data:`TEXTURES`.
            ground: The paint lies on the ground plane, where fog and shadow follow the row.
            glow: Share of the colour that shines by itself, 0…1 and above.
        """
        lit = rgb if glow >= 1 else self.light.shade(rgb, normal, 0.0 if ground else z)
        label = IGNORE_INDEX if name is None else BDD100K_SEM19.index(name)
        contrast = 1.0 if ground else math.exp(-z * self.light.fog_density)
        self._rows.append((lit, label, self._current, tuple(contrast * t for t in TEXTURES[texture]), ground, glow))
        return len(self._rows) - 1

    @contextmanager
    def instance(self, name: str) -> Iterator[None]:
        """Give everything that is painted inside the ``with`` block to one new instance of class ``name``."""
        record = Instance(name)
        self.instances.append(record)
        self._current = len(self.instances)
        first = len(self._rows)
        yield
        self._current = 0
        width, height = self.camera.size_wh
        u0, v0, u1, v1 = record.bounds
        record.truncated = bool(u0 < 0 or v0 < 0 or u1 > width or v1 > height)
        box = (max(0, int(u0) - 1), max(0, int(v0) - 1), min(width, int(min(u1, _LIMIT)) + 2), min(height, int(min(v1, _LIMIT)) + 2))
        if box[0] < box[2] and box[1] < box[3]:
            record.painted = int((np.asarray(self.image.crop(box)) >= first).sum())

    def flat(self, pixels: Sequence[Pixel], paint: int) -> None:
        """Fill a polygon given in canvas pixels."""
        if len(pixels) < 3:
            return
        us, vs = [p[0] for p in pixels], [p[1] for p in pixels]
        u0, v0, u1, v1 = min(us), min(vs), max(us), max(vs)
        if self._current:
            self._stretch(((u0, v0), (u1, v1)))
        width, height = self.camera.size_wh
        if u1 < 0 or v1 < 0 or u0 > width or v0 > height:
            return
        if min(u0, v0) < -_LIMIT or max(u1, v1) > _LIMIT:
            pixels = [(min(max(u, -_LIMIT), _LIMIT), min(max(v, -_LIMIT), _LIMIT)) for u, v in pixels]
        self._pen.polygon(pixels, fill=paint)

    def fill(self, points: Sequence[Point], paint: int) -> None:
        """Fill a polygon given in world coordinates."""
        self.flat(self.camera.polygon(points), paint)

    def panel(self, points: Sequence[Point], rgb: Rgb, name: str | None, *, texture: str = "smooth", glow: float = 0.0) -> bool:
        """Fill a face of a solid, shaded by its direction, if the camera sees its outside.

        Args:
            points: Corners, clockwise seen from outside.
            rgb: Colour in white light.
            name: Class name.
            texture: A key of :data:`TEXTURES`.
            glow: Share of the colour that shines by itself.

        Returns:
            Whether the face is turned to the camera; details on it need drawing only then.
        """
        pixels = self.camera.polygon(points)
        if len(pixels) < 3 or not faces_camera(pixels):
            return False
        z = sum(p[2] for p in points) / len(points)
        self.flat(pixels, self.paint(rgb, name, normal=face_normal(points), z=z, texture=texture, glow=glow))
        return True

    def disc(self, centre: Pixel, radius: float, paint: int, *, flatten: float = 1.0) -> None:
        """Fill an ellipse given in canvas pixels; ``flatten`` is its height over its width."""
        u, v = centre
        ru, rv = max(radius, 0.5), max(radius * flatten, 0.5)
        u0, v0, u1, v1 = u - ru, v - rv, u + ru, v + rv
        width, height = self.camera.size_wh
        if self._current:
            self._stretch(((u0, v0), (u1, v1)))
        if u1 >= 0 and v1 >= 0 and u0 < width and v0 < height and ru < _LIMIT and rv < _LIMIT:
            self._pen.ellipse((u0, v0, u1, v1), fill=paint)

    def limb(self, a: Point, b: Point, width_a: float, width_b: float, paint: int, *, thinnest: float = 1.0) -> None:
        """Draw a tapered stroke with round ends between two world points.

        Args:
            a: One end.
            b: The other end.
            width_a: Width at ``a`` in metres.
            width_b: Width at ``b`` in metres.
            paint: Paint number.
            thinnest: Least width in canvas pixels.
        """
        if min(a[2], b[2]) < 0.5:
            return
        (ua, va), (ub, vb) = self.camera.project(*a), self.camera.project(*b)
        ra = max(width_a * self.camera.scale(a[2]), thinnest) / 2
        rb = max(width_b * self.camera.scale(b[2]), thinnest) / 2
        length = math.hypot(ub - ua, vb - va) or 1.0
        nu, nv = (va - vb) / length, (ub - ua) / length
        self.flat(
            [(ua + nu * ra, va + nv * ra), (ub + nu * rb, vb + nv * rb), (ub - nu * rb, vb - nv * rb), (ua - nu * ra, va - nv * ra)], paint
        )
        if ra > 1.5:
            self.disc((ua, va), ra, paint)
        if rb > 1.5:
            self.disc((ub, vb), rb, paint)

    def cast_shadow(self, points: Sequence[Point], strength: float) -> None:
        """Darken the ground inside a polygon; ``strength`` 1 is black."""
        pixels = self.camera.polygon(points)
        if len(pixels) > 2:
            pixels = [(min(max(u, -_LIMIT), _LIMIT), min(max(v, -_LIMIT), _LIMIT)) for u, v in pixels]
            self._shadow_pen.polygon(pixels, fill=int(255 * strength))

    def lamp(self, at: Point, radius: float, rgb: Rgb) -> None:
        """Add a light with a halo of ``radius`` metres at a world point."""
        u, v = self.camera.project(*at)
        self.lamps.append((u, v, radius * self.camera.scale(at[2]), rgb))

    def table(self, column: str) -> np.ndarray:
        """Return one column of the paint table.

        Args:
            column: ``'rgb'`` float32 ``[P, 3]``, ``'label'`` uint8 ``[P]``, ``'instance'`` int32 ``[P]``, ``'texture'`` float32
                ``[P, 3]``, ``'ground'`` bool ``[P]`` or ``'glow'`` float32 ``[P]``.
        """
        position = ("rgb", "label", "instance", "texture", "ground", "glow").index(column)
        dtype = {"label": np.uint8, "instance": np.int32, "ground": bool}.get(column, np.float32)
        return np.array([row[position] for row in self._rows], dtype)

    def numbers(self) -> np.ndarray:
        """Return the paint numbers, int32 ``[H, W]`` at canvas size; 0 is sky."""
        return np.asarray(self.image)

    def _stretch(self, pixels: tuple[Pixel, Pixel]) -> None:
        """Widen the bounds of the current instance to hold a box given by two corners."""
        (u0, v0), (u1, v1) = pixels
        bounds = self.instances[self._current - 1].bounds
        bounds[:] = min(bounds[0], u0), min(bounds[1], v0), max(bounds[2], u1), max(bounds[3], v1)
