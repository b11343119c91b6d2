"""From a painted canvas to a photograph: textures, shadows, sky, weather, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mmstreet.labels import IGNORE_INDEX
from mmstreet.mini.air import add_glow, add_weather, render_sky
from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.light import Light
from mmstreet.mini.noise import blur, noise_window
from mmstreet.mini.surface import light_ground, mirror_in_ground, surface_texture

_HALF = OVERSAMPLING // 2


@dataclass(frozen=True, eq=False)
class Picture:
    """One finished scene.

    Attributes:
        image: RGB, uint8 ``[H, W, 3]``.
        labels: Train ids of BDD100K's 19 classes, uint8 ``[H, W]``; 255 is unlabelled.
        instance_map: Numbers of the canvas's instances, int32 ``[H, W]``; 0 is none.
        quality: JPEG quality that the camera writes with.
    """

    image: np.ndarray
    labels: np.ndarray
    instance_map: np.ndarray
    quality: int


def develop(canvas: Canvas, rng: np.random.Generator) -> Picture:
    """Turn a canvas into image and labels.

    Args:
        canvas: The painted scene.
        rng: Source of noise.
    """
    light, numbers = canvas.light, canvas.numbers()
    at_pixel = numbers[_HALF::OVERSAMPLING, _HALF::OVERSAMPLING]
    colors = np.clip(canvas.table("rgb"), 0, 1)
    colors[0] = 0
    image = _reduce(np.rint(colors * 255).astype(np.uint8)[numbers]).astype(np.float32) / 255
    sky_share = _reduce(np.uint8(255) * (numbers == 0)).astype(np.float32)[..., None] / 255
    is_ground = canvas.table("ground")
    ground = _reduce((np.uint8(255) * is_ground)[numbers]).astype(np.float32)[..., None] / 255
    glow = np.minimum(canvas.table("glow"), 1.0)[at_pixel][..., None]

    image *= surface_texture(canvas, rng, at_pixel) * (1 - glow) + glow
    light_ground(canvas, image, ground)
    sky = render_sky(canvas, rng)
    # A sky pixel brightens no further than its own colour: the black that stands for sky on the canvas adds nothing.
    image += sky_share * sky
    image = add_glow(canvas, image, glow)
    if light.wet:
        image = mirror_in_ground(canvas, rng, image, ground)
    image = add_weather(light, rng, image)
    image = _photograph(light, rng, image)
    labels = canvas.table("label")[at_pixel]
    instance_map = np.where(labels == IGNORE_INDEX, 0, canvas.table("instance")[at_pixel])
    return Picture(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8), labels, instance_map, int(rng.integers(70, 96)))


def _reduce(array: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(np.ascontiguousarray(array)).reduce(OVERSAMPLING))


def _photograph(light: Light, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Apply exposure, colour cast, vignette, lens blur and sensor noise."""
    height, width = image.shape[:2]
    gain = np.exp(rng.normal(0, 0.09)) * (1 + rng.normal(0, 0.025, 3))
    v = np.linspace(-1, 1, height, dtype=np.float32)[:, None, None]
    u = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    image = image * gain.astype(np.float32) * (1 - rng.uniform(0.03, 0.24) * (u * u + v * v) / 2)
    contrast, middle = rng.uniform(0.9, 1.18), 0.45
    image = np.clip((image - middle) * contrast + middle, 0, 1) if light.headlight == 0 else np.clip(image, 0, 1)
    image = image ** np.float32(rng.uniform(0.88, 1.14))
    radius = float(rng.choice([0.0, rng.uniform(0.3, 0.6), rng.uniform(0.6, 1.1)], p=[0.45, 0.4, 0.15])) * max(width / 640, 0.2)
    if radius > 0.1:
        image = blur(image, radius)
    noise = rng.uniform(0.004, 0.014) * (2.2 if light.headlight else 1.0)
    grain = np.stack([noise_window(rng, "white", (height, width)) for _ in range(3)], axis=-1)
    return image + grain * (noise * np.sqrt(0.3 + image))
