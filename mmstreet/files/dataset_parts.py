"""Data sets inside wrappers: repeated, concatenated, class-balanced; as configs or as objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def dataset_parts(dataset: Any) -> Iterator[Any]:
    """Yield the data sets inside wrappers, in order.

    What holds ``datasets`` or ``dataset`` is a wrapper and is opened; everything else is a part. ``None`` has no parts.

    Args:
        dataset: A data set or its config; wrappers may be nested.

    Example:
        >>> list(dataset_parts({"type": "ConcatDataset", "datasets": [{"dataset": {"type": "A"}}, {"type": "B"}]}))
        [{'type': 'A'}, {'type': 'B'}]
    """
    if dataset is None:
        return
    look_up = dataset.get if isinstance(dataset, Mapping) else lambda name: getattr(dataset, name, None)
    inner = look_up("datasets") or ([look_up("dataset")] if look_up("dataset") is not None else [])
    if not inner:
        yield dataset
    for part in inner:
        yield from dataset_parts(part)
