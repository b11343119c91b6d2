"""One owner per pixel, as bitmasks and BDD100K's evaluation of predictions demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmstreet.files.rle import bbox_from_counts, counts_from_mask, runs_from_counts
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import ImageRecord, InstanceRecord
from mmstreet.formats.segments import split_by_value
from mmstreet.labels import LabelTable


def drawing_order(instances: Sequence[InstanceRecord]) -> list[int]:
    """Return positions in the order in which instances lie on each other, the lowest first: by score when all have one, else as listed."""
    order = list(range(len(instances)))
    if all(instance.score is not None for instance in instances):
        # Among equal scores the first one wins, so it lies on top.
        order = sorted(reversed(order), key=lambda position: instances[position].score)
    return order


def resolve_overlaps(image: ImageRecord) -> tuple[np.ndarray, np.ndarray]:
    """Give each pixel to one instance: to the highest score when all have one, else to the last in the list.

    Args:
        image: Every instance must have a mask.

    Returns:
        The owner of each pixel, int32 ``[H, W]``: 0 for none, else position in the list + 1; and the positions that own at
        least one pixel, int64 ``[K]``, ascending.
    """
    owner = np.zeros(image.size_hw[0] * image.size_hw[1], np.int32)
    for position in drawing_order(image.instances):
        for start, end in runs_from_counts(image.instances[position].counts).tolist():
            owner[start:end] = position + 1
    visible = np.flatnonzero(np.bincount(owner, minlength=len(image.instances) + 1)[1:])
    return owner.reshape(image.size_hw[::-1]).T, visible


def visible_instances(image: ImageRecord, report: ConversionReport) -> tuple[np.ndarray, list[tuple[int, InstanceRecord]]]:
    """Resolve the overlaps of an image; count instances without a mask, those that others cover, and those that they cover in part.

    Returns:
        The owner of each pixel, int32 ``[H, W]``, 0 for none; and each instance that owns a pixel with its number there.
    """
    where = "image '{}', label {}: {}".format
    for instance in image.instances:
        if instance.counts is None:
            report.skip_instance("box without a mask", where(image.name, instance.source_id, "has a box but no mask"))
    image = replace(image, instances=tuple(x for x in image.instances if x.counts is not None))
    owner, visible = resolve_overlaps(image)
    for position in sorted(set(range(len(image.instances))) - set(visible.tolist())):
        sentence = where(image.name, image.instances[position].source_id, "other instances cover all of its pixels")
        report.skip_instance("instance is covered by others", sentence)
    left = np.bincount(owner.ravel(), minlength=len(image.instances) + 1)
    for position in visible.tolist():
        hidden = image.instances[position].area - int(left[position + 1])
        if hidden:
            sentence = where(image.name, image.instances[position].source_id, f"{hidden} pixels belong to instances above it")
            report.lose("pixels under another instance", sentence)
    return owner, [(position + 1, image.instances[position]) for position in visible.tolist()]


def visible_segments(
    image: ImageRecord, table: LabelTable, report: ConversionReport
) -> tuple[np.ndarray, list[tuple[InstanceRecord, tuple[int, int, int, int], int]]]:
    """Resolve the overlaps of an image and unite the regions of each class that cannot be counted; all are counted as written.

    Args:
        image: The image.
        table: Says which classes can be counted.
        report: Counts what is written and what is not.

    Returns:
        The segment of each pixel, int32 ``[H, W]``, 0 for none; and for each segment, from 1 on, its (first) instance, the box around its
        pixels, and their number.
    """
    owner, visible = visible_instances(image, report)
    report.instances_out += len(visible)
    countable = {label.raw_id for label in table.labels if label.is_thing}
    numbers: dict[int, int] = {}
    lut, kept = np.zeros(len(image.instances) + 1, np.int32), []
    for number, instance in visible:
        alone = instance.category_id in countable
        if not alone and instance.category_id in numbers:
            where = f"image '{image.name}', label {instance.source_id or 'without id'}"
            report.lose("region united with others of a class that is not counted", where)
            lut[number] = numbers[instance.category_id]
            continue
        kept.append(instance)
        lut[number] = numbers[instance.category_id] = len(kept)
    segments = lut[owner]
    found = {segment.value: segment for segment in split_by_value(segments)}
    return segments, [(instance, found[i].bbox, int(found[i].counts[1::2].sum())) for i, instance in enumerate(kept, start=1)]


def without_overlaps(image: ImageRecord, report: ConversionReport) -> list[InstanceRecord]:
    """Return the instances with the pixels that they own; the others are counted."""
    owner, visible = visible_instances(image, report)
    instances = []
    for number, instance in visible:
        counts = counts_from_mask(owner == number)
        instances.append(replace(instance, counts=counts, bbox=bbox_from_counts(counts, image.size_hw[0])))
    return instances
