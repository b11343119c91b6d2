"""Writing image records as COCO JSON, Scalabel JSON or bitmasks.

A writer is a small picklable object. ``render(image, report)`` runs in any process and does the work; ``open()`` gives,
in the main process, the function that takes the rendered images in order. Files appear when the block ends well.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mmstreet.files.atomic import atomic_path
from mmstreet.files.rle import bbox_from_counts, counts_from_mask, encode_counts
from mmstreet.formats.bitmask import FLAGS, MAX_ANN_ID, encode_bitmask, write_bitmask
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import ImageRecord, InstanceRecord, resolve_overlaps
from mmstreet.labels import BDD100K_INS8, LabelTable

Rendered = tuple[dict, list[dict]]


def compact_json(value: Any) -> str:
    """Return JSON without blanks; NaN is refused, because no other reader takes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class CocoWriter:
    """A COCO instances file; image and annotation ids count from 1 in the order of the images.

    Beside COCO's own keys, images carry ``attributes`` (weather, scene, time of day) and annotations ``ignore``,
    ``attributes`` (the four flags) and ``scalabel_id``; ``iscrowd`` is set for crowds and for ignored instances.
    """

    path: Path
    table: LabelTable = BDD100K_INS8

    def target(self, name: str) -> str:
        """Where an image's labels go; images of one target exclude each other."""
        return name

    def render(self, image: ImageRecord, report: ConversionReport) -> Rendered:
        """Return the image's entry and those of its annotations, without the ids that count over all images."""
        report.images_out += 1
        report.instances_out += len(image.instances)
        entry = {"file_name": image.name, "height": image.size_hw[0], "width": image.size_hw[1], "attributes": image.attributes}
        return entry, [_coco_annotation(instance, image.size_hw) for instance in image.instances]

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[Rendered], None]]:
        """Give the function that adds a rendered image; annotations wait on disk until the list of images is complete."""
        categories = [{"id": label.raw_id, "name": label.name, "supercategory": label.group} for label in self.table.labels]
        numbers = {"image": 0, "annotation": 0}
        with (
            atomic_path(self.path) as temporary,
            open(temporary, "w", encoding="utf-8") as file,
            tempfile.TemporaryFile("w+", encoding="utf-8", dir=temporary.parent) as annotations,
        ):
            file.write(f'{{"info":{{"description":"{self.table.name}"}},"categories":{compact_json(categories)},\n"images":[')

            def add(rendered: Rendered) -> None:
                numbers["image"] += 1
                file.write(("," if numbers["image"] > 1 else "") + "\n" + compact_json({"id": numbers["image"], **rendered[0]}))
                for annotation in rendered[1]:
                    numbers["annotation"] += 1
                    entry = {"id": numbers["annotation"], "image_id": numbers["image"], **annotation}
                    annotations.write(("," if numbers["annotation"] > 1 else "") + "\n" + compact_json(entry))

            yield add
            file.write('],\n"annotations":[')
            annotations.seek(0)
            shutil.copyfileobj(annotations, file)
            file.write("]}\n")


def _coco_annotation(instance: InstanceRecord, size_hw: tuple[int, int]) -> dict:
    annotation = {
        "category_id": instance.category_id,
        "bbox": list(instance.bbox),
        "area": instance.area,
        "iscrowd": int(instance.crowd or instance.ignored),
        "ignore": int(instance.ignored),
        "attributes": {flag: getattr(instance, flag) for flag in FLAGS},
        "scalabel_id": instance.source_id,
    }
    if instance.counts is not None:
        annotation["segmentation"] = {"size": list(size_hw), "counts": encode_counts(instance.counts)}
    if instance.score is not None:
        annotation["score"] = instance.score
    return annotation


@dataclass(frozen=True)
class ScalabelWriter:
    """A Scalabel JSON file with boxes and run-length masks.

    Attributes:
        path: JSON file.
        table: Gives the names of the categories.
        overlaps: Keep masks as they are; ``False`` gives each pixel to one instance, as BDD100K's evaluation of
            predictions demands (by score when all instances have one, else to the later instance).
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    overlaps: bool = True

    def target(self, name: str) -> str:
        """Where an image's labels go; images of one target exclude each other."""
        return name

    def render(self, image: ImageRecord, report: ConversionReport) -> str:
        """Return the frame as JSON text."""
        report.images_out += 1
        instances = image.instances if self.overlaps else _without_overlaps(image, report)
        report.instances_out += len(instances)
        names = {label.raw_id: label.name for label in self.table.labels}
        labels = [_scalabel_label(index, instance, names, image.size_hw) for index, instance in enumerate(instances, start=1)]
        size = {"width": image.size_hw[1], "height": image.size_hw[0]}
        return compact_json({"name": image.name, "attributes": image.attributes, "size": size, "labels": labels})

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        """Give the function that adds a rendered frame."""
        with atomic_path(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write('{"frames":[')
            separator = "\n"

            def add(frame: str) -> None:
                nonlocal separator
                file.write(separator + frame)
                separator = ",\n"

            yield add
            file.write("]}\n")


def _scalabel_label(index: int, instance: InstanceRecord, names: dict[int, str], size_hw: tuple[int, int]) -> dict:
    x, y, width, height = instance.bbox
    label = {
        "id": instance.source_id or str(index),
        "index": index,
        "category": names[instance.category_id],
        "attributes": {flag: getattr(instance, flag) for flag in FLAGS},
        "box2d": {"x1": x, "y1": y, "x2": x + width - 1, "y2": y + height - 1},
    }
    if instance.counts is not None:
        label["rle"] = {"counts": encode_counts(instance.counts), "size": list(size_hw)}
    if instance.score is not None:
        label["score"] = instance.score
    return label


def _with_masks(image: ImageRecord, report: ConversionReport) -> ImageRecord:
    """Leave out instances that have no mask, and count them."""
    kept = [instance for instance in image.instances if instance.counts is not None]
    for instance in image.instances:
        if instance.counts is None:
            report.skip_instance(
                "box without a mask", f"frame '{image.name}', label {instance.source_id}: has a box but no mask to be painted"
            )
    return ImageRecord(image.name, image.size_hw, image.attributes, tuple(kept))


def _visible(image: ImageRecord, report: ConversionReport) -> tuple[np.ndarray, list[tuple[int, InstanceRecord]]]:
    """Owner of each pixel, and the instances that own one with their number in that map; hidden ones are counted."""
    owner, visible = resolve_overlaps(image)
    for position in sorted(set(range(len(image.instances))) - set(visible.tolist())):
        sentence = f"frame '{image.name}', label {image.instances[position].source_id}: other instances cover all of its pixels"
        report.skip_instance("instance is hidden by others", sentence)
    return owner, [(position + 1, image.instances[position]) for position in visible.tolist()]


def _without_overlaps(image: ImageRecord, report: ConversionReport) -> list[InstanceRecord]:
    owner, visible = _visible(_with_masks(image, report), report)
    instances = []
    for number, instance in visible:
        counts = counts_from_mask(owner == number)
        instances.append(replace(instance, counts=counts, bbox=bbox_from_counts(counts, image.size_hw[0])))
    return instances


@dataclass(frozen=True)
class BitmaskWriter:
    """A folder of bitmasks, one PNG per image under the image's name.

    The annotation id is the instance's source id when all ids of the image are different whole numbers up to 65535;
    otherwise instances are numbered from 1.
    """

    root: Path

    def target(self, name: str) -> str:
        """Where an image's labels go; images of one target exclude each other."""
        return PurePosixPath(name).with_suffix(".png").as_posix()

    def render(self, image: ImageRecord, report: ConversionReport) -> None:
        """Write the PNG."""
        image = _with_masks(image, report)
        owner, visible = _visible(image, report)
        ids = [instance.source_id for instance in image.instances]
        if not all(i.isdecimal() and int(i) <= MAX_ANN_ID for i in ids) or len({int(i) for i in ids}) != len(ids):
            report.note("ids do not fit a bitmask, numbered from 1", f"frame '{image.name}': ids {', '.join(ids)!s:.100}")
            ids = range(1, len(ids) + 1)
        flags = {flag: [getattr(instance, flag) for instance in image.instances] for flag in FLAGS}
        rgba = encode_bitmask(owner, [instance.category_id for instance in image.instances], [int(i) for i in ids], **flags)
        with atomic_path(Path(self.root) / self.target(image.name)) as temporary:
            write_bitmask(temporary, rgba)
        report.images_out += 1
        report.instances_out += len(visible)

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[None], None]]:
        """Give a function that does nothing: the files are written where they are rendered."""
        Path(self.root).mkdir(parents=True, exist_ok=True)
        yield lambda rendered: None
