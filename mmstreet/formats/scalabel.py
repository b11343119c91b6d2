"""Scalabel JSON, as BDD100K publishes it: masks from polygons, from run lengths, or from bitmasks beside the JSON."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mmstreet.files.atomic import atomic_path
from mmstreet.files.rle import encode_counts
from mmstreet.formats.bitmask import read_bitmask
from mmstreet.formats.bitmask_codec import decode_bitmask
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import compact_json
from mmstreet.formats.outlines import trace_counts
from mmstreet.formats.overlaps import without_overlaps
from mmstreet.formats.poly2d import counts_from_polygons
from mmstreet.formats.records import FEATURES, ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.formats.rules import (
    RecordError,
    build_image,
    build_instance,
    check_image,
    known_categories,
    parse_attributes,
    parse_each,
    read_run_lengths,
)
from mmstreet.formats.scalabel_labels import (
    find_config_table,
    frame_name,
    frame_size,
    iter_raw_frames,
    name_label,
    parse_box,
    parse_label,
    parse_poly2d,
)
from mmstreet.labels import BDD100K_INS8, LabelTable

BDD100K_SIZE_HW = (720, 1280)
"""Size of every image of BDD100K."""


@dataclass(frozen=True)
class ScalabelReader(Reader):
    """Frames of a Scalabel JSON file, or of a folder with one JSON file per image.

    An image's size is that of its frame, else ``config.imageSize``, else that of its run lengths; else that of the image file or the
    bitmask; else the default, which is noted.

    Attributes:
        path: JSON file or folder.
        table: The classes wanted; others are counted and left out.
        image_root: Image folder, to check names and sizes; ``None`` trusts the JSON.
        bitmask_root: Folder of bitmasks whose masks, flags and classes replace those of the JSON.
        default_size_hw: Size of images for which nothing tells one.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    image_root: Path | None = None
    bitmask_root: Path | None = None
    default_size_hw: tuple[int, int] = BDD100K_SIZE_HW

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the categories of the file's ``config``, where that stands before the frames."""
        return find_config_table(path)

    def tasks(self) -> Iterator[Task]:
        """Yield the raw frames in the order of the file.

        Raises:
            ValueError: If a name is missing or leads out of the image folder, or labels are no list.
        """
        for number, raw in enumerate(iter_raw_frames(self.path), start=1):
            try:
                name, labels = frame_name(raw), raw.get("labels") or []
                if not isinstance(labels, list):
                    raise ValueError(f"labels must be a list, got {type(labels).__name__}")
            except ValueError as error:
                raise ValueError(f"{self.path}: frame {number} ({raw.get('name')!r:.100}): {error}") from error
            yield Task(name, len(labels), raw)

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one raw frame into an image record.

        Raises:
            ValueError: If the frame's size or attributes are malformed.
        """
        name, labels = task.name, task.payload.get("labels") or []
        report.images_in += 1
        report.instances_in += len(labels)
        try:
            attributes, size_hw = parse_attributes(task.payload.get("attributes")), frame_size(task.payload)
        except ValueError as error:
            raise ValueError(f"{self.path}: frame '{name}': {error}") from error
        try:
            size_hw, pixels = check_image(name, size_hw, self.image_root), None
            if self.bitmask_root is not None:
                pixels, size_hw = self._read_bitmask(name, size_hw)
        except RecordError as error:
            report.skip_image(error.reason, f"frame '{name}': {error}", instances=len(labels))
            return None
        if size_hw is None:
            size_hw = self.default_size_hw
            report.note(
                "image size unknown, default taken", f"frame '{name}': taken as {size_hw[1]}×{size_hw[0]} pixels, what lies outside is cut"
            )
        if pixels is None:
            instances = parse_each(
                lambda raw: self._read_label(raw, size_hw), labels, lambda position, raw: name_label(name, position, raw), report
            )
        else:
            instances = self._join(name, labels, pixels, report)
        return build_image(name, size_hw, attributes, instances, report)

    def _read_label(self, raw: dict, size_hw: tuple[int, int]) -> InstanceRecord:
        entries, box, counts = parse_label(raw, self.table), parse_box(raw.get("box2d")), None
        if raw.get("rle") is not None:
            counts = read_run_lengths(raw["rle"], size_hw)
        elif raw.get("poly2d"):
            counts = counts_from_polygons(parse_poly2d(raw["poly2d"]), size_hw)
        return build_instance(entries, box, counts, size_hw)

    def _read_bitmask(self, name: str, size_hw: tuple[int, int] | None) -> tuple[list[InstanceRecord], tuple[int, int]]:
        path = Path(self.bitmask_root) / PurePosixPath(name).with_suffix(".png")
        try:
            rgba = read_bitmask(path)
            instances = decode_bitmask(rgba)
        except (FileNotFoundError, ValueError) as error:
            raise RecordError("bitmask is missing or unreadable", str(error)) from error
        if size_hw not in (None, rgba.shape[:2]):
            sentence = f"the image has {size_hw[1]}×{size_hw[0]} pixels, {path} has {rgba.shape[1]}×{rgba.shape[0]}"
            raise RecordError("bitmask size disagrees with the image", sentence)
        return instances, rgba.shape[:2]

    def _join(self, name: str, labels: list, pixels: list[InstanceRecord], report: ConversionReport) -> list[InstanceRecord]:
        """Give each instance of a bitmask the id of its label."""
        malformed = _count_malformed(report)
        entries = parse_each(
            lambda raw: parse_label(raw, self.table), labels, lambda position, raw: name_label(name, position, raw), report
        )
        names = [(x["category_id"], x["source_id"]) for x in entries]
        # With a label missing, places in the frame are shifted and say nothing.
        by_place = _count_malformed(report) == malformed
        return known_categories(name, match_bitmask(name, names, pixels, report, by_place=by_place), self.table, report)


def _count_malformed(report: ConversionReport) -> int:
    return sum(count for reason, count in report.skipped_instances.items() if not reason.startswith("category '"))


def match_bitmask(
    frame: str, labels: list[tuple[int, str]], pixels: list[InstanceRecord], report: ConversionReport, *, by_place: bool
) -> list[InstanceRecord]:
    """Give each instance of a bitmask the id of its label.

    The id in a bitmask is either the label's own or, in the published files, its place among the frame's labels,
    counted from 1. Whichever reading pairs more instances with a label of the same class is taken.

    Args:
        frame: Name, for messages.
        labels: Category id and id of each label.
        pixels: Instances of the bitmask; ``source_id`` is their id there.
        report: Labels without pixels are counted as skipped, instances without a label are kept and noted.
        by_place: Whether places may be tried.
    """
    readings = [labels]
    if by_place:
        readings.append([(category_id, str(place)) for place, (category_id, _) in enumerate(labels, start=1)])
    wanted = {(instance.category_id, instance.source_id) for instance in pixels}
    names = max(readings, key=lambda reading: len(wanted.intersection(reading)))
    free: dict[tuple[int, str], list[str]] = {}
    for name, (_, label_id) in zip(names, labels):
        free.setdefault(name, []).append(label_id)
    instances = []
    for instance in pixels:
        ids = free.get((instance.category_id, instance.source_id))
        if ids:
            instances.append(replace(instance, source_id=ids.pop(0)))
        else:
            report.instances_in += 1
            report.note("bitmask instance without a label, kept", f"frame '{frame}': id {instance.source_id} of the bitmask has no label")
            instances.append(instance)
    for label_id in (label_id for ids in free.values() for label_id in ids):
        report.skip_instance("label owns no pixel of the bitmask", f"frame '{frame}', label {label_id}: owns no pixel of the bitmask")
    return instances


@dataclass(frozen=True)
class ScalabelWriter(Writer):
    """A Scalabel JSON file with boxes and run-length masks.

    Attributes:
        path: JSON file.
        table: Gives the names of the categories.
        overlaps: Keep masks as they are; ``False`` gives each pixel to one instance, as BDD100K's evaluation of
            predictions demands (by score when all instances have one, else to the later instance).
        polygons: Write masks as ``poly2d`` that covers the same pixels, instead of run lengths; regions with holes become several polygons.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    overlaps: bool = True
    polygons: bool = False

    def render(self, image: ImageRecord, report: ConversionReport) -> str:
        """Return the frame as JSON text."""
        report.images_out += 1
        instances = image.instances if self.overlaps else without_overlaps(image, report)
        report.instances_out += len(instances)
        names = {label.raw_id: label.name for label in self.table.labels}
        labels = [
            _render_label(index, instance, names, image.size_hw, polygons=self.polygons)
            for index, instance in enumerate(instances, start=1)
        ]
        size = {"width": image.size_hw[1], "height": image.size_hw[0]}
        return compact_json({"name": image.name, "attributes": image.attributes, "size": size, "labels": labels})

    @property
    def holds(self) -> frozenset[str]:
        """Everything; overlaps as far as they are kept."""
        return frozenset(FEATURES) if self.overlaps else frozenset(FEATURES) - {"overlaps", "boxes"}

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        """Give the function that adds a rendered frame."""
        with atomic_path(self.path) as temporary, open(temporary, "w", encoding="utf-8") as file:
            config = {
                "categories": [{"name": label.name, "id": label.raw_id, "isthing": int(label.is_thing)} for label in self.table.labels]
            }
            file.write(f'{{"config":{compact_json(config)},\n"frames":[')
            separator = "\n"

            def add(frame: str) -> None:
                nonlocal separator
                file.write(separator + frame)
                separator = ",\n"

            yield add
            file.write("]}\n")


def _render_label(index: int, instance: InstanceRecord, names: dict[int, str], size_hw: tuple[int, int], *, polygons: bool) -> dict:
    x, y, width, height = instance.bbox
    label = {
        "id": instance.source_id or str(index),
        "index": index,
        "category": names[instance.category_id],
        "attributes": instance.flags,
        "box2d": {"x1": x, "y1": y, "x2": x + width - 1, "y2": y + height - 1},
    }
    if instance.counts is not None and polygons:
        outlines = trace_counts(instance.counts, size_hw)
        label["poly2d"] = [{"vertices": outline, "types": "L" * len(outline), "closed": True} for outline in outlines]
    elif instance.counts is not None:
        label["rle"] = {"counts": encode_counts(instance.counts), "size": list(size_hw)}
    if instance.score is not None:
        label["score"] = instance.score
    return label
