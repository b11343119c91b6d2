"""Noise, blur and digital corruptions of photographs, as Hendrycks and Dietterich define them, and two of dash cameras.

Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019. Every function takes an image, float32
``[H, W, 3]`` in RGB from 0 to 1, a severity from 1 to 5 and a generator, and returns an image, whose values may lie outside 0 to 1.
Lengths are in pixels, whatever the size of the image, but for the elastic transform.
"""

from __future__ import annotations

import io
import math

import cv2
import numpy as np
from PIL import Image

_LINEAR = 2.2
"""Exponent between the values of an image file and light."""
_PHOTONS, _READ_NOISE = 1000, 2
"""What a small sensor counts of white at full exposure, and the noise of reading it, in photons."""


def gaussian_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of low light: a normal variable of standard deviation 0.08 to 0.38 in each channel."""
    scale = (0.08, 0.12, 0.18, 0.26, 0.38)[severity - 1]
    return image + np.float32(scale) * rng.standard_normal(image.shape, dtype=np.float32)


def shot_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Noise of counting photons: Poisson with 60 to 3 of them at white."""
    photons = (60, 25, 12, 5, 3)[severity - 1]
    return (rng.poisson(image * photons) / photons).astype(np.float32)


def impulse_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Salt and pepper: 3 to 27 % of the values become 0 or 1, half of them each."""
    amount = (0.03, 0.06, 0.09, 0.17, 0.27)[severity - 1]
    draw = rng.random(image.shape, dtype=np.float32)
    return np.where(draw < amount, (draw < amount / 2).astype(np.float32), image)


def defocus_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Mean over a disk of radius 3 to 10, whose edge is smoothed."""
    radius, sigma = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))[severity - 1]
    reach, side = (8, 3) if radius <= 8 else (radius, 5)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x**2 + y**2 <= radius**2).astype(np.float32)
    return cv2.filter2D(image, -1, cv2.GaussianBlur(disk / disk.sum(), (side, side), sigma))


def glass_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Frosted glass: pixels change places with others up to 4 away, between two Gaussian blurs."""
    sigma, reach, times = ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))[severity - 1]
    height, width = image.shape[:2]
    rows, columns = np.arange(height - reach - 1, reach - 1, -1), np.arange(width - reach - 1, reach - 1, -1)
    order = list(range(height * width))
    for _ in range(times if len(rows) and len(columns) else 0):
        step_y, step_x = rng.integers(-reach, reach, size=(2, len(rows), len(columns)))
        here = rows[:, None] * width + columns
        # Each exchange works on the outcome of those before it, which no vector operation does.
        for i, j in zip(here.ravel().tolist(), (here + step_y * width + step_x).ravel().tolist()):
            order[i], order[j] = order[j], order[i]
    moved = _smooth(image, sigma).reshape(-1, 3)[order].reshape(image.shape)
    return _smooth(moved, sigma)


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    return cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)


def motion_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Trail along a line within 45 degrees of the horizontal, 21 to 41 pixels long, that fades as half a Gaussian."""
    radius, sigma = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))[severity - 1]
    return blur_along(image, length=2 * radius + 1, sigma=sigma, degrees=rng.uniform(-45, 45))


def blur_along(image: np.ndarray, *, length: int, sigma: float, degrees: float) -> np.ndarray:
    """Add up the image, ``[H, W]`` or ``[H, W, 3]``, moved by 0 to ``length - 1`` pixels, with the weights of half a Gaussian."""
    weights = np.exp(-(np.arange(length) ** 2) / (2 * sigma**2))
    down, right = (np.rint(np.arange(length) * f(math.radians(degrees))).astype(int) for f in (math.sin, math.cos))
    padded = cv2.copyMakeBorder(image, length, length, length, length, cv2.BORDER_REPLICATE)
    height, width = image.shape[:2]
    blurred = np.zeros_like(image)
    for y, x, weight in zip(length + down, length + right, (weights / weights.sum()).astype(np.float32)):
        blurred += weight * padded[y : y + height, x : x + width]
    return blurred


def zoom_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Mean of the image and of its centre enlarged by 1 to 1.1 … 1.3."""
    stop, step = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))[severity - 1]
    factors = np.arange(1, stop, step)
    return (image + sum(zoom_into(image, factor) for factor in factors)) / np.float32(len(factors) + 1)


def zoom_into(image: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge the centre of an image, ``[H, W]`` or ``[H, W, 3]``, so that its size stays."""
    height, width = image.shape[:2]
    matrix = np.array([[1 / factor, 0, (1 - 1 / factor) * (width - 1) / 2], [0, 1 / factor, (1 - 1 / factor) * (height - 1) / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)


def brightness(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Add 0.1 to 0.5 to the value of every pixel in HSV."""
    value = image.max(2, keepdims=True)
    raised = np.minimum(value + (0.1, 0.2, 0.3, 0.4, 0.5)[severity - 1], 1)
    # Hue and saturation stay where all channels grow by one factor; black has neither and becomes grey.
    return np.where(value > 0, image * (raised / np.maximum(value, 1e-6)), raised).astype(np.float32)


def contrast(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Move every value to the mean of its channel, so that 40 to 5 % of the distance are left."""
    mean = image.mean((0, 1), keepdims=True)
    return (image - mean) * np.float32((0.4, 0.3, 0.2, 0.1, 0.05)[severity - 1]) + mean


def elastic_transform(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Stretch and bend; see :func:`elastic_map`."""
    return cv2.remap(image, *elastic_map(image.shape[:2], severity, rng), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def elastic_map(size_hw: tuple[int, int], severity: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel comes from, x and y, float32 ``[H, W]``.

    An affine map that moves three points around the centre at random, and a random field smoothed by a Gaussian. The paper's lengths are
    of an image of 244 pixels and are scaled to the shorter side.
    """
    strength, sigma, reach = ((2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))[severity - 1]
    height, width = size_hw
    side = min(size_hw)
    corners = np.array([[1, 1], [1, -1], [-1, -1]]) * (side // 3) + np.array([width // 2, height // 2])
    moved = corners + rng.uniform(-reach * side, reach * side, size=(3, 2))
    back = cv2.getAffineTransform(moved.astype(np.float32), corners.astype(np.float32))
    y, x = np.mgrid[:height, :width].astype(np.float64)
    x, y = (grid + strength * side * _smooth_noise(size_hw, sigma * side, rng) for grid in (x, y))
    return tuple((row[0] * x + row[1] * y + row[2]).astype(np.float32) for row in back)


def _smooth_noise(size_hw: tuple[int, int], sigma: float, rng: np.random.Generator) -> np.ndarray:
    """White noise from -1 to 1 smoothed by a Gaussian; a wide one on a coarse grid, where noise is that of the means of its cells."""
    step = max(1, int(sigma / 8))
    height, width = (-(-length // step) for length in size_hw)
    noise = rng.uniform(-1, 1, size=(height, width)) / step
    narrow = sigma / step
    reach = 2 * round(3 * narrow) + 1
    smooth = cv2.GaussianBlur(noise, (reach, reach), narrow, borderType=cv2.BORDER_REFLECT)
    return smooth if step == 1 else cv2.resize(smooth, size_hw[::-1], interpolation=cv2.INTER_LINEAR)


def pixelate(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Bring the image to 60 to 25 % of its size, and back without smoothing."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    whole, small = image.shape[1::-1], tuple(max(1, int(length * share)) for length in image.shape[1::-1])
    picture = _to_picture(image).resize(small, Image.Resampling.BOX)
    return _from_picture(picture.resize(whole, Image.Resampling.BOX))


def jpeg_compression(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """JPEG of quality 25 to 7."""
    return _compress(_to_picture(image), (25, 18, 15, 10, 7)[severity - 1])


def darkness(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """An exposure of 1/2 to 1/32 of the light on a small sensor: darker, and the noise of counting and of reading photons shows."""
    light = image.clip(0, 1) ** _LINEAR * (_PHOTONS / 2**severity)
    counted = rng.poisson(light) + _READ_NOISE * rng.standard_normal(image.shape, dtype=np.float32)
    return ((counted / _PHOTONS).clip(0, 1) ** (1 / _LINEAR)).astype(np.float32)


def dashcam_compression(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """What dash cameras store: 90 to 40 % of the size, half of the size for colour, blocks of 8 x 8 coarsely quantised."""
    share, quality = ((0.9, 40), (0.75, 30), (0.6, 22), (0.5, 15), (0.4, 10))[severity - 1]
    height, width = image.shape[:2]
    small = _to_picture(image).resize((max(1, round(width * share)), max(1, round(height * share))), Image.Resampling.BILINEAR)
    return cv2.resize(_compress(small, quality), (width, height), interpolation=cv2.INTER_LINEAR)


def _compress(picture: Image.Image, quality: int) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return _from_picture(Image.open(file))


def _to_picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(image * 255).clip(0, 255).astype(np.uint8))


def _from_picture(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture, np.float32) / 255
