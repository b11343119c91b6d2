"""What every instance format has in common: an image and its instances, as readers hand them to writers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mmstreet.files.rle import runs_from_counts
from mmstreet.formats.bitmask import FLAGS, BitmaskInstance
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.labels import LabelTable


class Task(NamedTuple):
    """One image's worth of work: its path below the image folder, how many labels it has, and what the reader needs to read it."""

    name: str
    labels: int
    payload: Any


@dataclass(frozen=True, eq=False)
class InstanceRecord:
    """One instance.

    Attributes:
        category_id: ``raw_id`` in the class table.
        source_id: Id of the label in the file that it came from; empty when it had none.
        bbox: COCO box ``(x, y, width, height)``.
        counts: COCO run lengths of the mask, int64; ``None`` when only a box is known.
        truncated: The object leaves the image.
        occluded: Something stands before the object.
        crowd: The mask covers a group.
        ignored: The instance does not count in an evaluation.
        score: Confidence, for predictions.
    """

    category_id: int
    source_id: str
    bbox: tuple[float, float, float, float]
    counts: np.ndarray | None = None
    truncated: bool = False
    occluded: bool = False
    crowd: bool = False
    ignored: bool = False
    score: float | None = None

    @property
    def area(self) -> float:
        """Pixels of the mask, or of the box when there is no mask."""
        return self.bbox[2] * self.bbox[3] if self.counts is None else int(self.counts[1::2].sum())


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image: path below the image folder, size, attributes (weather, scene, time of day) and instances."""

    name: str
    size_hw: tuple[int, int]
    attributes: dict
    instances: tuple[InstanceRecord, ...]


def record_from_bitmask(instance: BitmaskInstance) -> InstanceRecord:
    """Return an instance of a bitmask as a record; its id there becomes the source id."""
    flags = {flag: getattr(instance, flag) for flag in FLAGS}
    return InstanceRecord(instance.category_id, str(instance.ann_id), instance.bbox, instance.counts, **flags)


def drop_unknown_categories(
    name: str, instances: Iterable[InstanceRecord], table: LabelTable, report: ConversionReport
) -> Iterator[InstanceRecord]:
    """Yield the instances whose category id is in the table; count the others as skipped."""
    known = {label.raw_id for label in table.labels}
    for instance in instances:
        if instance.category_id in known:
            yield instance
        else:
            sentence = f"bitmask of '{name}', id {instance.source_id}: table '{table.name}' has no category id {instance.category_id}"
            report.skip_instance("category id is not in the table", sentence)


def resolve_overlaps(image: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
    """Give each pixel to one instance: to the highest score when all have one, else to the last in the list.

    Args:
        image: Every instance must have a mask.

    Returns:
        The owner of each pixel, int32 ``[H, W]``: 0 for none, else position in the list + 1; and the positions that own at
        least one pixel, int64 ``[K]``, ascending.
    """
    order = range(len(image.instances))
    if all(instance.score is not None for instance in image.instances):
        # Among equal scores the first one wins, so it is painted last.
        order = sorted(reversed(order), key=lambda position: image.instances[position].score)
    owner = np.zeros(image.size_hw[0] * image.size_hw[1], np.int32)
    for position in order:
        for start, end in runs_from_counts(image.instances[position].counts).tolist():
            owner[start:end] = position + 1
    visible = np.flatnonzero(np.bincount(owner, minlength=len(image.instances) + 1)[1:])
    return owner.reshape(image.size_hw[::-1]).T, visible
