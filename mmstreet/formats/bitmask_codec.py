"""BDD100K's instance bitmask: an RGBA PNG that holds class, flags and id of the one instance that owns each pixel.

Red is the category id (0 is background), green the flags ``truncated << 3 | occluded << 2 | crowd << 1 | ignored``, and
blue and alpha together the annotation id ``blue << 8 | alpha``. Source: the label format page of the BDD100K
documentation. Files are read and written in ``bitmask``; here everything is numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmstreet.formats.records import FLAGS, InstanceRecord
from mmstreet.formats.segments import split_by_value

MAX_ANN_ID = 0xFFFF
"""The largest annotation id that two bytes hold."""


def encode_bitmask(
    instance_map: np.ndarray,
    category_ids: Sequence[int],
    ann_ids: Sequence[int],
    *,
    truncated: Sequence[bool] | None = None,
    occluded: Sequence[bool] | None = None,
    crowd: Sequence[bool] | None = None,
    ignored: Sequence[bool] | None = None,
) -> np.ndarray:
    """Write instances into a bitmask.

    Args:
        instance_map: Integers ``[H, W]``: 0 is background, ``k`` is row ``k - 1`` of the lists that follow.
        category_ids: Category id of each of the ``N`` instances, in ``[1, 255]``.
        ann_ids: Annotation id of each instance, in ``[0, 65535]``, no two alike.
        truncated: One flag per instance; ``None`` means all false, here and below.
        occluded: See ``truncated``.
        crowd: See ``truncated``.
        ignored: See ``truncated``.

    Returns:
        RGBA, uint8 ``[H, W, 4]``.

    Raises:
        ValueError: If the lists differ in length, an id is out of range or given twice, or the map names a row that
            is not there.

    Example:
        >>> encode_bitmask(np.ones((1, 1), int), [3], [300], truncated=[True], occluded=[True])[0, 0].tolist()
        [3, 12, 1, 44]
    """
    instance_map = np.asarray(instance_map)
    columns = [np.asarray(column, np.int64).reshape(-1) for column in (category_ids, ann_ids)]
    num = len(columns[0])
    flags = [np.zeros(num, np.int64) if f is None else np.asarray(f, bool).astype(np.int64) for f in (truncated, occluded, crowd, ignored)]
    if {len(column) for column in (*columns, *flags)} != {num}:
        raise ValueError(f"expected {num} values in every list, one per category id; got {[len(c) for c in (columns[1], *flags)]}")
    category, ann = columns
    if instance_map.ndim != 2 or not np.issubdtype(instance_map.dtype, np.integer):
        raise ValueError(f"instance_map must be integers [H, W], got {instance_map.dtype} {list(instance_map.shape)}")
    if instance_map.size and not 0 <= instance_map.min() <= instance_map.max() <= num:
        raise ValueError(f"instance_map must lie in 0…{num}, got {instance_map.min()}…{instance_map.max()}")
    if num and not (category.min() >= 1 and category.max() <= 255):
        raise ValueError(f"category ids must lie in 1…255, got {category.min()}…{category.max()}")
    if num and not (ann.min() >= 0 and ann.max() <= MAX_ANN_ID):
        raise ValueError(f"annotation ids must lie in 0…{MAX_ANN_ID}, got {ann.min()}…{ann.max()}; renumber them per image")
    if len(np.unique(ann)) != num:
        raise ValueError("annotation ids must differ within an image; renumber them per image")
    green = sum(flag << bit for flag, bit in zip(flags, (3, 2, 1, 0)))
    palette = np.zeros((num + 1, 4), np.uint8)
    palette[1:] = np.stack([category, green, ann >> 8, ann & 255], axis=1)
    return palette[instance_map]


def decode_bitmask(rgba: np.ndarray) -> list[InstanceRecord]:
    """Read every instance of a bitmask, ordered by id, then category and flags.

    Pixels are grouped by all four channels; pixels with red 0 are background.

    Args:
        rgba: uint8 ``[H, W, 4]``, channels in the order red, green, blue, alpha.

    Returns:
        The instances, their annotation id as source id; an empty list when the picture is all background.

    Raises:
        ValueError: If shape or dtype differ, a flag byte exceeds 15, or the channels look like BGRA.
    """
    rgba = np.asarray(rgba)
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise ValueError(f"a bitmask is uint8 [H, W, 4], got {rgba.dtype} {list(rgba.shape)}; read it with read_bitmask")
    found = split_by_value(np.ascontiguousarray(rgba).view("<u4")[..., 0])
    values = np.array([segment.value for segment in found], "<u4")
    red, green, blue, alpha = (values.view(np.uint8).reshape(-1, 4).astype(np.int64)[:, c] for c in range(4))
    _check_channels(red, green, blue, values)
    return [
        InstanceRecord(
            category_id=int(red[i]),
            source_id=str(int(blue[i] << 8 | alpha[i])),
            bbox=found[i].bbox,
            counts=found[i].counts,
            **{flag: bool(green[i] >> bit & 1) for flag, bit in zip(FLAGS, (3, 2, 1, 0))},
        )
        for i in sorted(np.flatnonzero(red), key=lambda i: (blue[i], alpha[i], red[i], green[i]))
    ]


def _check_channels(red: np.ndarray, green: np.ndarray, blue: np.ndarray, values: np.ndarray) -> None:
    """Refuse values that no bitmask holds; arguments are the channels of each distinct value."""
    owned = values != 0
    # Read as BGRA, red is the high byte of the id: 0 for ids below 256, while blue is a category everywhere.
    if owned.any() and (red[owned] == 0).any() and (blue[owned] > 0).all():
        raise ValueError("the channels look like BGRA (red empty where blue is set); read the file with read_bitmask, not with OpenCV")
    if (green > 15).any():
        raise ValueError(f"the flag channel holds {green.max()}, a bitmask has 0…15 there; is this a colour map instead of a bitmask?")
