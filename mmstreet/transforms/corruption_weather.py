"""Snow, frost and fog on photographs, as Hendrycks and Dietterich (ICLR 2019) define them; frost is generated, not photographed.

The functions are called as those of :mod:`mmstreet.transforms.corruption_filters`.
"""

from __future__ import annotations

import cv2
import numpy as np

from mmstreet.transforms.corruption_filters import blur_along, zoom_into

_ICE = np.array([0.94, 0.98, 1.0], np.float32)
_ICE_MEAN, _ICE_SPREAD = 0.6, 0.16
"""Mean and standard deviation of the brightness of photographs of frosted glass; those of the paper have 0.36 to 0.81 and 0.09 to 0.17."""
_DIRECTIONS = 9


def snow(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Flakes that fall as streaks, over an image made whiter."""
    mean, spread, zoom, least, radius, sigma, kept = (
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    )[severity - 1]
    flakes = zoom_into((mean + spread * rng.standard_normal(image.shape[:2])).astype(np.float32), zoom)
    flakes = np.where(flakes < least, 0, flakes).clip(0, 1)
    flakes = blur_along(flakes, length=2 * radius + 1, sigma=sigma, degrees=rng.uniform(-135, -45))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
    whiter = np.maximum(image, grey * 1.5 + 0.5)
    return kept * image + (1 - kept) * whiter + (flakes + np.rot90(flakes, 2))[..., None]


def frost(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Ice on the lens, added to a darker image; see :func:`frost_texture`."""
    kept, ice = ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))[severity - 1]
    return kept * image + ice * frost_texture(image.shape[:2], rng)


def frost_texture(size_hw: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Fields of ice needles, each of a direction of its own, over cloudy patches; float32 ``[H, W, 3]`` in ``[0, 1]``.

    The paper lays photographs over the images; this stands in for them with their mean and spread of brightness.
    """
    cloud = plasma(size_hw, 1.6, rng)
    length = max(15, min(size_hw) // 12)
    needles, reach = np.zeros(size_hw, np.float32), np.zeros(size_hw, np.float32)
    for degrees in rng.uniform(0, 180, _DIRECTIONS):
        grains = (rng.random(size_hw, dtype=np.float32) > 0.985).astype(np.float32)
        streaks = blur_along(grains, length=length, sigma=length / 2, degrees=degrees)
        field = plasma(size_hw, 2.2, rng)
        # The direction whose field is the greatest has the place.
        needles, reach = np.where(field > reach, streaks, needles), np.maximum(field, reach)
    needles = cv2.GaussianBlur(needles, (0, 0), 0.8)
    mixed = _standard(needles) + _standard(cloud)
    return ((_ICE_MEAN + _ICE_SPREAD * _standard(mixed))[..., None] * _ICE).clip(0, 1).astype(np.float32)


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / max(float(values.std()), 1e-6)


def fog(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Add 1.5 to 3 times a cloud, and bring the brightest value back."""
    amount, decay = ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))[severity - 1]
    brightest = float(image.max())
    return (image + amount * plasma(image.shape[:2], decay, rng)[..., None]) * (brightest / (brightest + amount))


def plasma(size_hw: tuple[int, int], decay: float, rng: np.random.Generator) -> np.ndarray:
    """A cloud by the diamond–square algorithm, float32 ``[H, W]``; the square that it is cut from goes from 0 to 1.

    Args:
        size_hw: Height and width.
        decay: Square root of how much less the noise of each halving adds; small values give rough clouds.
        rng: Generator.
    """
    cloud, amplitude = np.zeros((1, 1)), 1.0
    while len(cloud) < max(size_hw):
        shape = cloud.shape
        noise = amplitude * rng.uniform(-1, 1, size=(3, *shape))
        below, right = np.roll(cloud, -1, 0), np.roll(cloud, -1, 1)
        middle = (cloud + below + right + np.roll(below, -1, 1)) / 4 + noise[0]
        finer = np.empty((2 * shape[0], 2 * shape[1]))
        finer[::2, ::2], finer[1::2, 1::2] = cloud, middle
        finer[::2, 1::2] = (cloud + right + middle + np.roll(middle, 1, 0)) / 4 + noise[1]
        finer[1::2, ::2] = (cloud + below + middle + np.roll(middle, 1, 1)) / 4 + noise[2]
        cloud, amplitude = finer, amplitude / decay**2
    cloud -= cloud.min()
    return (cloud / max(cloud.max(), 1e-12))[: size_hw[0], : size_hw[1]].astype(np.float32)
