"""Labels damaged on purpose, the way annotators err: a class mistaken, an object forgotten or made up, an outline beside its object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from mmstreet.labels import IGNORE_INDEX

KINDS = ("swap", "drop", "shift", "phantom")
LEAST_PIXELS = 50
"""Smallest component that is damaged."""
LEAST_CHANGED = 25
"""Fewest pixels that a damage changes."""


@dataclass(frozen=True, eq=False)
class Damage:
    """One damaged component: what was done, and bool ``[H, W]``, the pixels whose label changed."""

    kind: str
    label: int
    changed: np.ndarray


def list_components(labels: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield class and mask, bool ``[H, W]``, of each connected component (corners connect) of :data:`LEAST_PIXELS` or more."""
    for label in np.setdiff1d(labels, IGNORE_INDEX).tolist():
        count, parts, stats, _ = cv2.connectedComponentsWithStats((labels == label).astype(np.uint8), connectivity=8)
        for i in range(1, count):
            if stats[i, cv2.CC_STAT_AREA] >= LEAST_PIXELS:
                yield label, parts == i


def damage_component(
    labels: np.ndarray, label: int, mask: np.ndarray, kind: str, rng: np.random.Generator, *, num_classes: int
) -> tuple[np.ndarray, Damage] | None:
    """Damage one component.

    Args:
        labels: Class ids, uint8 ``[H, W]``; 255 stays as it is.
        label: Class of the component.
        mask: Its pixels, bool ``[H, W]``.
        kind: ``'swap'`` gives it another class, ``'drop'`` fills it with what is nearest, ``'shift'`` moves it by a quarter to a half of
            its size, ``'phantom'`` adds a copy elsewhere, at least its size away.
        rng: Generator.
        num_classes: Classes that a swap chooses from.

    Returns:
        The damaged map and what was done; ``None`` where fewer than :data:`LEAST_CHANGED` pixels would change.
    """
    out = labels.copy()
    y, x, height, width = _box(mask)
    if kind == "swap":
        out[mask] = rng.choice([other for other in range(num_classes) if other != label])
    if kind in ("drop", "shift"):
        stays = ~mask & (labels != IGNORE_INDEX)
        if not stays.any():
            return None
        rows, columns = ndimage.distance_transform_edt(~stays, return_distances=False, return_indices=True)
        out[mask] = labels[rows, columns][mask]
    if kind == "shift":
        angle, share = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 0.5)
        step = np.rint(np.array([np.sin(angle) * height, np.cos(angle) * width]) * share).astype(int)
        out[_moved(mask, step)] = label
    if kind == "phantom":
        place = np.array([rng.integers(0, labels.shape[0] - height + 1), rng.integers(0, labels.shape[1] - width + 1)])
        step = place - (y, x)
        if abs(step[0]) < height and abs(step[1]) < width:
            return None
        out[_moved(mask, step)] = label
    out[labels == IGNORE_INDEX] = IGNORE_INDEX
    changed = out != labels
    return (out, Damage(kind, label, changed)) if changed.sum() >= LEAST_CHANGED else None


def _box(mask: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return rows[0], columns[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1


def _moved(mask: np.ndarray, step: Sequence[int]) -> np.ndarray:
    """Move a mask; what leaves the image is lost."""
    y, x = np.nonzero(mask)
    y, x = y + step[0], x + step[1]
    inside = (y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1])
    moved = np.zeros_like(mask)
    moved[y[inside], x[inside]] = True
    return moved


def damage_maps(
    maps: Sequence[np.ndarray], *, share: float = 0.02, seed: int = 0, num_classes: int
) -> tuple[list[np.ndarray], list[list[Damage]], int]:
    """Damage a share of the components of a data set, every kind equally often; damages of one image do not overlap.

    Args:
        maps: Class ids of the images, uint8 ``[H, W]``.
        share: Share of the components of :data:`LEAST_PIXELS` or more pixels.
        seed: Of all choices.
        num_classes: Classes that a swap chooses from.

    Returns:
        The maps, of each image its damages, and how many components there were.
    """
    rng = np.random.default_rng(seed)
    places = [(i, n) for i, labels in enumerate(maps) for n, _ in enumerate(list_components(labels))]
    out, damages = list(maps), [[] for _ in maps]
    wanted, done = round(share * len(places)), 0
    for pick in rng.permutation(len(places)).tolist():
        if done == wanted:
            break
        i, n = places[pick]
        label, mask = next(part for j, part in enumerate(list_components(maps[i])) if j == n)
        taken = np.any([damage.changed for damage in damages[i]], 0) if damages[i] else np.zeros_like(mask)
        found = damage_component(maps[i], label, mask, KINDS[done % len(KINDS)], rng, num_classes=num_classes)
        if found is None or (taken & (found[1].changed | mask)).any():
            continue
        changed = found[1].changed
        out[i] = np.where(changed, found[0], out[i])
        damages[i].append(found[1])
        done += 1
    return out, damages, len(places)
