"""Masks damaged on purpose, the way CLIP's pseudo-masks are wrong: small objects lost, blobs of classes that are elsewhere in the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from mmstreet.labels import IGNORE_INDEX


@dataclass(frozen=True)
class DamageRecipe:
    """How masks are damaged.

    Attributes:
        wrong_share: Least share of the labelled pixels that end up wrong, in [0, 1).
        small_share: Connected pieces of one class below this share of the image are lost to their surroundings.
        radius_share: Least and largest half-axis of a blob, in shares of the image's height.

    Raises:
        ValueError: If a setting is out of range.
    """

    wrong_share: float = 0.3
    small_share: float = 0.002
    radius_share: tuple[float, float] = (0.03, 0.12)

    def __post_init__(self):
        low, high = self.radius_share
        if not (0 <= self.wrong_share < 1 and 0 <= self.small_share < 1 and 0 < low <= high):
            raise ValueError(f"expected wrong_share and small_share in [0, 1) and 0 < least radius <= largest radius, got {self}")


def lose_small_pieces(labels: np.ndarray, min_pixels: float) -> np.ndarray:
    """Give every connected piece (4 neighbours) of fewer than ``min_pixels`` pixels to the nearest piece that stays.

    Args:
        labels: Class ids, uint8 ``[H, W]``; 255 stays as it is.
        min_pixels: Smallest piece that stays.

    Returns:
        Class ids, uint8 ``[H, W]``. A map without any large piece stays as it is.
    """
    small = np.zeros(labels.shape, bool)
    for class_id in np.setdiff1d(labels, IGNORE_INDEX):
        pieces, _ = ndimage.label(labels == class_id)
        sizes = np.bincount(pieces.ravel())
        sizes[0] = labels.size  # not a piece
        small |= sizes[pieces] < min_pixels
    stays = ~small & (labels != IGNORE_INDEX)
    if not stays.any():
        return labels.copy()
    rows, columns = ndimage.distance_transform_edt(~stays, return_distances=False, return_indices=True)
    return np.where(small, labels[rows, columns], labels)


def damage_mask(labels: np.ndarray, rng: np.random.Generator, recipe: DamageRecipe = DamageRecipe()) -> np.ndarray:
    """Damage one mask: first the small pieces go, then elliptic blobs of a wrong class are drawn until enough is wrong.

    A blob's class is one of those that the undamaged mask shows, but not the one that it shows at the blob's centre; so image-level labels
    stay true of what they do not exclude. The same generator state gives the same mask.

    Args:
        labels: Class ids, uint8 ``[H, W]``; 255 stays as it is.
        rng: Source of chance.
        recipe: How much, how large.

    Returns:
        Class ids, uint8 ``[H, W]``. A mask with fewer than two classes cannot be wrong among them and stays as it is.
    """
    present = np.setdiff1d(labels, IGNORE_INDEX)
    if len(present) < 2:
        return labels.copy()
    height = labels.shape[0]
    valid = labels != IGNORE_INDEX
    damaged = lose_small_pieces(labels, recipe.small_share * labels.size)
    centres = np.argwhere(valid)
    wrong, enough = int((damaged != labels)[valid].sum()), recipe.wrong_share * len(centres)
    while wrong < enough:
        y, x = centres[rng.integers(len(centres))]
        box, blob = _ellipse((y, x), rng.uniform(*recipe.radius_share, 2) * height, rng.uniform(0, np.pi), labels.shape)
        blob &= valid[box]
        wrong -= int((damaged[box] != labels[box])[blob].sum())
        damaged[box][blob] = rng.choice(present[present != labels[y, x]])
        wrong += int((damaged[box] != labels[box])[blob].sum())
    return damaged


def _ellipse(
    centre_yx: tuple[int, int], half_axes: np.ndarray, angle: float, size_hw: tuple[int, int]
) -> tuple[tuple[slice, slice], np.ndarray]:
    """Return the box around an ellipse, cut to the image, and which of its pixels the ellipse covers."""
    reach = int(np.ceil(max(half_axes)))
    box = tuple(slice(max(0, c - reach), min(side, c + reach + 1)) for c, side in zip(centre_yx, size_hw))
    dy, dx = np.ogrid[box[0], box[1]]
    dy, dx = dy - centre_yx[0], dx - centre_yx[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), dy * np.cos(angle) - dx * np.sin(angle)
    return box, (along / half_axes[0]) ** 2 + (across / half_axes[1]) ** 2 <= 1
