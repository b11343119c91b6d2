"""The sky with its clouds, the glow of lamps, and what falls from above."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.light import Light
from mmstreet.mini.noise import blur, smooth_noise


def render_sky(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Return the sky, float32 ``[H, W, 3]``: a gradient with clouds that shrink towards the horizon."""
    light = canvas.light
    width, height = (n // OVERSAMPLING for n in canvas.camera.size_wh)
    horizon = canvas.camera.horizon / OVERSAMPLING
    # What little sky shows below the horizon, beyond the end of the street, repeats the last row.
    rows = min(height, max(1, int(horizon) + 1))
    up = np.clip((horizon - np.arange(rows, dtype=np.float32)) / max(horizon, 1.0), 0, 1)
    blend = (up**0.75)[:, None, None]
    sky = np.array(light.sky_low, np.float32) * (1 - blend) + np.array(light.sky_top, np.float32) * blend
    sky = np.repeat(sky, width, axis=1)
    if light.clouds:
        field = sum(smooth_noise(rng, (256, 512), (s, 1.6 * s)) * s**0.6 for s in (48, 24, 12, 6, 3))
        field = (field - field.mean()) / field.std()
        row = np.minimum(255, (40 / (up + 0.18)).astype(np.int32))[:, None]
        spread = 0.35 + 0.65 * up
        col = ((np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] / spread[:, None] + 1.5) * 256).astype(np.int32) & 511
        cover = np.clip((field[row, col] + 2.2 * (light.clouds - 0.55)) * 0.9, 0, 1)
        cover *= 0.9 * np.clip(0.25 + 2.5 * up, 0, 1)[:, None]
        shade = 1 + 0.06 * np.clip(field[row, (col + 9) & 511], -2, 2)
        sky = sky * (1 - cover)[..., None] + np.array(light.cloud_rgb, np.float32) * (shade * cover)[..., None]
    return np.concatenate([sky, np.broadcast_to(sky[-1], (height - rows, *sky.shape[1:]))])


def add_glow(canvas: Canvas, image: np.ndarray, glow: np.ndarray) -> np.ndarray:
    """Let lamps and lit windows shine over their edges."""
    size = image.shape[:2]
    unit = max(size[1] / 640, 0.25)
    dark = canvas.light.headlight > 0
    if dark and glow.any():
        image = image + 0.55 * blur(image * glow, 5 * unit, 2) + 0.25 * blur(image * glow, 2 * unit)
    rows, cols = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)
    for u, v, radius, rgb in canvas.lamps:
        u, v, radius = u / OVERSAMPLING, v / OVERSAMPLING, max(radius / OVERSAMPLING, 1.2 * unit)
        reach = 3.0 * radius
        r0, r1, c0, c1 = (int(n) for n in (max(0, v - reach), min(size[0], v + reach + 1), max(0, u - reach), min(size[1], u + reach + 1)))
        if r0 < r1 and c0 < c1:
            d2 = ((rows[r0:r1, None] - v) ** 2 + (cols[None, c0:c1] - u) ** 2) / radius**2
            halo = np.exp(-1.6 * d2) * 0.35 + np.exp(-np.sqrt(d2) * 2.2) * 0.45
            image[r0:r1, c0:c1] += (0.8 if dark else 0.25) * halo[..., None] * np.array(rgb, np.float32)
    return image


def add_weather(light: Light, rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Draw falling rain or snow before the lens."""
    size = image.shape[:2]
    unit = max(1, size[1] / 640)
    if light.weather == "rainy":
        sparse = (rng.random(size) > 0.996).astype(np.float32)
        streaks = Image.fromarray(np.rint(sparse * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur((0, int(5 * unit))))
        image = image + 0.9 * np.asarray(streaks, np.float32)[..., None] / 255 * (0.25 + np.mean(light.ambient_rgb))
    if light.weather == "snowy":
        flakes = np.maximum(0, smooth_noise(rng, size, (3 * unit, 3 * unit)) - 2.1) + 0.7 * np.maximum(
            0, smooth_noise(rng, size, (5.5 * unit, 5.5 * unit)) - 2.3
        )
        image = image + np.clip(flakes, 0, 0.8)[..., None] * (0.3 + np.mean(light.ambient_rgb))
    return image
