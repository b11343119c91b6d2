"""A drive down a street of the mini set: the same scene seen from a camera that moves, frame by frame, with labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mmstreet.mini.camera import FAR, Camera, Pixel, Point
from mmstreet.mini.picture import Picture, develop
from mmstreet.mini.scene import plan_scene

PASSED = 2.5
"""Things nearer than this, in metres, have left the picture."""


@dataclass(frozen=True)
class MovedCamera(Camera):
    """A camera that has driven ``ahead`` metres into its scene; world coordinates stay those of the start."""

    ahead: float = 0.0

    def scale(self, z: float) -> float:
        """Return the pixels per metre at world distance ``z``."""
        return super().scale(z - self.ahead)

    def project(self, x: float, y: float, z: float) -> Pixel:
        """Return the picture position of a world point."""
        return super().project(x, y, z - self.ahead)

    def polygon(self, points: Sequence[Point]) -> list[Pixel]:
        """Project a polygon after cutting off what lies too near."""
        still = Camera(self.size_wh, self.focal, self.horizon, self.height, self.bend)
        return still.polygon([(x, y, z - self.ahead) for x, y, z in points])


def render_drive(
    *, seed: int = 0, index: int = 0, frames: int, speed_mps: float = 5.0, fps: float = 10.0, size_wh: tuple[int, int] = (640, 360)
) -> Iterator[Picture]:
    """Draw a drive of constant speed; the other traffic does not move.

    Args:
        seed: Seed of the scene, 0 or more.
        index: Number of the scene, which decides its rare classes, as in the mini set.
        frames: How many frames.
        speed_mps: Speed of the camera in metres per second.
        fps: Frames per second.
        size_wh: Width and height in pixels.

    Yields:
        One picture per frame, image and labels.

    Raises:
        ValueError: If a number is out of range, or the drive leaves the street, which is 400 m long.
    """
    if frames < 1 or fps <= 0 or speed_mps < 0:
        raise ValueError(f"a drive needs frames >= 1, fps > 0 and speed >= 0, got {frames}, {fps} and {speed_mps}")
    length = speed_mps * (frames - 1) / fps
    if length > FAR / 4:
        raise ValueError(f"the drive is {length:.0f} m long, but the street is drawn for {FAR / 4:.0f} m; drive slower or shorter")
    # A third stream beside those of the sets, so that a drive is none of their pictures.
    scene = plan_scene(np.random.default_rng([seed, 2, index, 0]), index, size_wh)
    for i in range(frames):
        ahead = speed_mps * i / fps
        camera = MovedCamera(**dataclasses.asdict(scene.camera), ahead=ahead)
        items = [item for item in scene.items if not ahead or item.depth - ahead > PASSED]
        moved = dataclasses.replace(scene, camera=camera, items=items)
        yield develop(moved.render(), np.random.default_rng([seed, 2, index, 1]))
