"""The one check of class ids: each is a class or the ignored label, and a stray one is named with its place."""

from __future__ import annotations

from typing import Any

import numpy as np

IGNORE_INDEX = 255
"""Label of pixels that do not count, everywhere in this package."""


class LabelIdError(ValueError):
    """A label map holds an id that is no class."""


def check_label_ids(
    labels: Any,
    *,
    num_classes: int,
    ignore_index: int | None = IGNORE_INDEX,
    where: object = "the labels",
    advice: str = "map the labels with mmstreet.RemapLabels, or correct num_classes",
) -> None:
    """Refuse a label map with an id that is neither a class nor ignored.

    Args:
        labels: Class ids, integers of any shape: a numpy array or a torch tensor on any device (which then waits for that device once).
        num_classes: Ids ``0 … num_classes - 1`` are classes.
        ignore_index: The ignored label; ``None`` allows no other id than a class.
        where: The file, or another word for what holds the labels.
        advice: What to do about it.

    Raises:
        LabelIdError: If there is a stray id. The message names the id, its first position, the number of its pixels and what is allowed.

    Example:
        >>> check_label_ids(np.array([[0, 1], [255, 19]]), num_classes=19, where="a1.png")
        Traceback (most recent call last):
        mmstreet.files.label_ids.LabelIdError: label id 19 in a1.png is neither a class (0…18) nor ignored (255): 1 pixel, first at \
y=1, x=1; map the labels with mmstreet.RemapLabels, or correct num_classes
    """
    stray = (labels < 0) | (labels >= num_classes)
    if ignore_index is not None:
        stray &= labels != ignore_index
    if stray.any():
        raise LabelIdError(describe_stray(labels, stray, num_classes=num_classes, ignore_index=ignore_index, where=where, advice=advice))


def describe_stray(labels: Any, stray: Any, *, num_classes: int, ignore_index: int | None, where: object, advice: str) -> str:
    """Return the sentence of :func:`check_label_ids` for the first position where ``stray`` is true."""
    ids, stray = (np.asarray(x.detach().cpu() if hasattr(x, "detach") else x) for x in (labels, stray))
    position = np.unravel_index(int(stray.argmax()), stray.shape)
    allowed = (
        f"a class (0…{num_classes - 1})" if ignore_index is None else f"neither a class (0…{num_classes - 1}) nor ignored ({ignore_index})"
    )
    return outside_sentence(
        int(ids[position]),
        where=where,
        expected=f"not {allowed}" if ignore_index is None else allowed,
        position=[int(at) for at in position],
        count=int((ids == ids[position]).sum()),
        advice=advice,
    )


def outside_sentence(label_id: int, *, where: object, expected: str, position: list[int], count: int, advice: str) -> str:
    """Return the one sentence about a stray id.

    Args:
        label_id: The id.
        where: What holds it.
        expected: What the id is not, e.g. ``"not in table 'street6' (6 classes)"``.
        position: Index of its first pixel; the last two numbers are row and column.
        count: Pixels with that id.
        advice: What to do about it.
    """
    names = ("y", "x")[-len(position) :] if len(position) <= 2 else (*(f"axis {i}" for i in range(len(position) - 2)), "y", "x")
    place = ", ".join(f"{name}={at}" for name, at in zip(names, position))
    return f"label id {label_id} in {where} is {expected}: {count} pixel{'s' * (count != 1)}, first at {place}; {advice}"
