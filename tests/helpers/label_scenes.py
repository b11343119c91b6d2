"""Images with every kind of label that a conversion has to keep, in memory; and what can be seen of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import ImageRecord, InstanceRecord, Task
from mmstreet.labels import LabelTable

SIZE_HW = (6, 9)


@dataclass(frozen=True)
class MemoryReader:
    """Reads images that are in memory."""

    images: tuple[ImageRecord, ...]
    path: Path = Path("memory")
    image_root: Path | None = None

    def tasks(self):
        return [Task(image.name, len(image.instances), image) for image in self.images]

    def read(self, task: Task, report: ConversionReport) -> ImageRecord:
        report.images_in += 1
        report.instances_in += task.labels
        return task.payload


def counts_of(mask: np.ndarray) -> np.ndarray:
    """Run lengths of a mask, column by column, background first, counted one pixel after the other."""
    counts, value = [0], False
    for pixel in mask.T.ravel().tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return np.array(counts, np.int64)


def mask_of(counts: np.ndarray, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """The mask of run lengths."""
    pixels = [i % 2 == 1 for i, count in enumerate(counts.tolist()) for _ in range(count)]
    return np.array(pixels, bool).reshape(size_hw[::-1]).T


def make_instance(mask: np.ndarray, raw_id: int, **settings) -> InstanceRecord:
    """An instance of a mask, bool ``[H, W]``, that is not empty."""
    y, x = np.nonzero(mask)
    bbox = (int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1)
    return InstanceRecord(**{"category_id": raw_id, "source_id": "", "bbox": bbox, "counts": counts_of(mask), **settings})


def png_bytes(size_hw: tuple[int, int] = SIZE_HW) -> bytes:
    """A picture."""
    file = io.BytesIO()
    Image.new("RGB", size_hw[::-1], (9, 9, 9)).save(file, "PNG")
    return file.getvalue()


@st.composite
def scenes(draw, table: LabelTable, *, names=("train/ä b.png", "val/c.d.png")):
    """Images with rings, frames, single pixels, random masks, on and beside each other; crowds among the classes that can be counted."""
    images = []
    for name in names:
        instances = []
        for number in range(draw(st.integers(0, 4))):
            label = table.labels[draw(st.integers(0, len(table) - 1))]
            mask = np.zeros(SIZE_HW, bool)
            kind = draw(st.sampled_from(["pixel", "box", "ring", "random"]))
            y, x = draw(st.integers(0, SIZE_HW[0] - 1)), draw(st.integers(0, SIZE_HW[1] - 1))
            if kind == "random":
                mask[:] = np.random.default_rng(draw(st.integers(0, 99))).random(SIZE_HW) < draw(st.sampled_from([0.2, 0.5, 0.9]))
            else:
                size = {"pixel": 1, "box": 3, "ring": 4}[kind]
                mask[y : y + size, x : x + size] = True
                if kind == "ring":
                    mask[y + 1 : y + 3, x + 1 : x + 3] = False
            crowd = label.is_thing and draw(st.booleans())
            if mask.any():
                flags = {flag: draw(st.booleans()) for flag in ("truncated", "occluded")}
                instances.append(make_instance(mask, label.raw_id, source_id=str(number + 1), crowd=crowd, **flags))
        images.append(ImageRecord(name, SIZE_HW, {}, tuple(instances), picture=png_bytes()))
    return tuple(images)


def class_map(image: ImageRecord, table: LabelTable) -> list[list[str]]:
    """The class name of each pixel, that of the last instance there, '' where there is none."""
    names = {label.raw_id: {"pedestrian": "person"}.get(label.name, label.name) for label in table.labels}
    rows = [[""] * image.size_hw[1] for _ in range(image.size_hw[0])]
    for instance in image.instances:
        for y, x in np.argwhere(mask_of(instance.counts, image.size_hw)).tolist():
            rows[y][x] = "" if instance.ignored else names[instance.category_id]
    return rows


def visible_objects(image: ImageRecord, table: LabelTable) -> set[tuple]:
    """Class, crowd and visible pixels of each object of a class that can be counted."""
    owner = np.zeros(image.size_hw, int)
    for number, instance in enumerate(image.instances, start=1):
        owner[mask_of(instance.counts, image.size_hw)] = number
    names = {label.raw_id: label.name for label in table.labels if label.is_thing}
    found = set()
    for number, instance in enumerate(image.instances, start=1):
        pixels = tuple(map(tuple, np.argwhere(owner == number).tolist()))
        if pixels and instance.category_id in names:
            found.add(({"pedestrian": "person"}.get(names[instance.category_id], names[instance.category_id]), instance.crowd, pixels))
    return found


def without_flags(image: ImageRecord) -> ImageRecord:
    """The image with instances that no flag marks."""
    plain = dict.fromkeys(("truncated", "occluded", "crowd", "ignored"), False)
    return replace(image, instances=tuple(replace(instance, **plain) for instance in image.instances))
