"""What the ground and other surfaces add to flat paint: texture in perspective, shadow, wear, headlights, wetness."""

from __future__ import annotations

import numpy as np
from PIL import ImageFilter

from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.noise import blur, noise_window, periodic_noise, smooth_noise


def _rows(canvas: Canvas) -> np.ndarray:
    """Return the distance of the road in each picture row, float32 ``[H]``, at most 400 m."""
    height = canvas.camera.size_wh[1] // OVERSAMPLING
    rows = (np.arange(height) + 0.5) * OVERSAMPLING
    return np.minimum(canvas.camera.row_depths(rows), 400.0).astype(np.float32)


def _first_ground_row(canvas: Canvas) -> int:
    """Return the row of the horizon: there is no ground above it."""
    return min(canvas.camera.size_wh[1] // OVERSAMPLING - 1, max(0, int(canvas.camera.horizon / OVERSAMPLING)))


def _across(canvas: Canvas, depth: np.ndarray) -> np.ndarray:
    """Return the position across the street of every ground pixel in metres, float32 ``[H, W]``."""
    camera = canvas.camera
    width = camera.size_wh[0] // OVERSAMPLING
    u = ((np.arange(width, dtype=np.float32) + 0.5) * OVERSAMPLING - camera.size_wh[0] / 2) / camera.focal
    return u[None, :] * depth[:, None] - camera.bend * depth[:, None] ** 2


def surface_texture(canvas: Canvas, rng: np.random.Generator, at_pixel: np.ndarray) -> np.ndarray:
    """Return the brightness factor of every pixel, float32 ``[H, W, 1]``; on the ground the pattern lies in perspective.

    Args:
        canvas: The painted scene.
        rng: Source of noise.
        at_pixel: Paint number of every pixel, ``[H, W]``.
    """
    size = at_pixel.shape
    amount = np.moveaxis(canvas.table("texture"), 1, 0)
    grain, blotch, clumps = (noise_window(rng, kind, size).copy() for kind in ("grain", "blotch", "clumps"))
    first = _first_ground_row(canvas)
    depth = _rows(canvas)[first:]
    x = _across(canvas, depth)
    flat = canvas.table("ground")[at_pixel[first:]]
    tile, broad = rng.standard_normal((256, 256), dtype=np.float32), periodic_noise(rng, 256, 28)
    row, col = (np.minimum(depth, 300.0) * 9).astype(np.int32)[:, None] & 255, np.floor(x * 14).astype(np.int32) & 255
    fade = np.minimum(1.0, 14.0 / np.maximum(depth, 1e-3))[:, None]
    fine = tile[row, col] * fade
    wide = broad[(depth * 6).astype(np.int32)[:, None] & 255, np.floor(x * 12).astype(np.int32) & 255] * np.minimum(1.0, 2 * fade)
    grain[first:] = np.where(flat, 0.5 * grain[first:] + 0.8 * fine, grain[first:])
    blotch[first:] = np.where(flat, 0.3 * blotch[first:] + 0.9 * wide, blotch[first:])
    clumps[first:] = np.where(flat, 0.4 * clumps[first:] + 0.6 * tile[col, row] * fade, clumps[first:])
    factor = 1 + amount[0][at_pixel] * grain + amount[1][at_pixel] * blotch + amount[2][at_pixel] * clumps
    return np.maximum(factor, 0.25)[..., None]


def light_ground(canvas: Canvas, image: np.ndarray, ground: np.ndarray) -> None:
    """Add to the ground, in place, what depends on the place: shadows, tyre tracks, headlights and fog.

    Args:
        canvas: The painted scene.
        image: Colours, float32 ``[H, W, 3]``.
        ground: Share of ground in every pixel, float32 ``[H, W, 1]``.
    """
    light, first = canvas.light, _first_ground_row(canvas)
    depth = _rows(canvas)[first:, None]
    unit = max(1, image.shape[1] // 640)
    shadow = np.asarray(canvas.shadow.reduce(OVERSAMPLING).filter(ImageFilter.GaussianBlur(1.2 * unit)), np.float32)[first:] / 255
    x = _across(canvas, depth[:, 0])
    track = np.exp(-(((np.abs((x + 1.7) % 3.4 - 1.7) - 0.8) / 0.35) ** 2))
    clear = np.exp(-depth * light.fog_density)
    factor = (1 - shadow * (0.5 if light.timeofday == "night" else 1.0)) * clear
    factor *= 1 - (0.05 + 0.10 * light.snow) * track * np.minimum(1, 30 / np.maximum(depth, 1))
    lit = image[first:] * factor[..., None]
    if light.headlight:
        beam = light.headlight * np.exp(-((x / (1.6 + 0.13 * depth)) ** 2) - depth / 18) * np.minimum(1, depth / 4)
        lit *= 1 + 2.0 * beam[..., None] * np.array([1.0, 0.96, 0.86], np.float32)
    lit += np.array(light.fog_rgb, np.float32) * (1 - clear)[..., None]
    image[first:] += ground[first:] * (lit - image[first:])


def mirror_in_ground(canvas: Canvas, rng: np.random.Generator, image: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Let a wet road mirror what stands above the horizon."""
    height = image.shape[0]
    horizon = canvas.camera.horizon / OVERSAMPLING
    rows = np.clip((2 * horizon - np.arange(height)).astype(np.int32), 0, height - 1)
    mirrored = blur(np.clip(image, 0, 1)[rows], 2.5 * max(1, image.shape[1] / 640))
    puddles = np.clip(0.7 + 0.35 * smooth_noise(rng, image.shape[:2], (10, 70)), 0.2, 1.0)[..., None]
    share = 0.42 * canvas.light.wet * ground * puddles
    return image * (1 - share) * (1 - 0.25 * canvas.light.wet * ground) + mirrored * share
