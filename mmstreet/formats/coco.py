"""COCO instances files, and COCO results read in the place of their annotations."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmstreet.files.atomic import atomic_path
from mmstreet.files.rle import encode_counts
from mmstreet.formats import rules
from mmstreet.formats.class_lists import table_from_categories
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import compact_json, load_json
from mmstreet.formats.outlines import trace_counts
from mmstreet.formats.poly2d import counts_from_polygons
from mmstreet.formats.records import ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.labels import BDD100K_INS8, LabelTable


@dataclass(frozen=True)
class CocoReader(Reader):
    """A COCO instances file, or the predictions made for its images.

    The whole file is held in memory, as every user of COCO files does: annotations may stand in any order.

    Attributes:
        path: COCO JSON with ``images``, ``annotations`` and ``categories``.
        table: The classes wanted; categories are matched by name.
        image_root: Image folder, to check names and sizes; ``None`` trusts the JSON.
        predictions: COCO results, a list of ``image_id, category_id, segmentation, score``, that take the annotations' place.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    image_root: Path | None = None
    predictions: Path | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the categories of the file under their ids, which count from 1 where one is above 254."""
        coco = load_json(path)
        return table_from_categories(coco.get("categories") if isinstance(coco, dict) else None, path)

    def tasks(self) -> Iterator[Task]:
        """Yield each image; the payload is its entry, its size, its attributes, its annotations and the names of the categories.

        Raises:
            ValueError: If a file is no COCO JSON, an id of an image or category is given twice, or an annotation belongs to no image.
        """
        coco = load_json(self.path)
        if not isinstance(coco, dict) or not all(isinstance(coco.get(key), list) for key in ("images", "annotations", "categories")):
            raise ValueError(f"{self.path} is no COCO file: expected the lists images, annotations and categories")
        annotations = coco["annotations"] if self.predictions is None else load_json(self.predictions)
        if not isinstance(annotations, list):
            raise ValueError(f"{self.predictions} holds no COCO results: expected a list")
        names = {key: category.get("name") for key, category in self._by_id(coco["categories"], "category").items()}
        images = {key: (image, []) for key, image in self._by_id(coco["images"], "image").items()}
        for annotation in annotations:
            image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
            if not isinstance(image_id, (int, str)) or image_id not in images:
                raise ValueError(f"{self.predictions or self.path}: no image has the image_id of annotation {annotation!r:.200}")
            images[image_id][1].append(annotation)
        for image_id, (image, found) in images.items():
            try:
                name, size_hw, attributes = (
                    rules.check_name(image.get("file_name")),
                    rules.parse_size(image),
                    rules.parse_attributes(image.get("attributes")),
                )
            except ValueError as error:
                raise ValueError(f"{self.path}: image {image_id!r} ({image.get('file_name')!r:.100}): {error}") from error
            yield Task(name, len(found), (image_id, size_hw, attributes, found, names))

    def _by_id(self, entries: list, kind: str) -> dict[int | str, dict]:
        found: dict[int | str, dict] = {}
        for entry in entries:
            key = entry.get("id") if isinstance(entry, dict) else None
            if isinstance(key, bool) or not isinstance(key, (int, str)):
                raise ValueError(f"{self.path}: each {kind} needs an id, text or a whole number, got {entry!r:.200}")
            if key in found:
                raise ValueError(
                    f"{self.path}: {kind} id {key!r:.40} is given twice, to {found[key]!r:.100} and {entry!r:.100}; ids must differ"
                )
            found[key] = entry
        return found

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one image and its annotations into an image record."""
        image_id, size_hw, attributes, annotations, names = task.payload
        report.images_in += 1
        report.instances_in += len(annotations)
        try:
            rules.check_image(task.name, size_hw, self.image_root)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"image '{task.name}': {error}", instances=len(annotations))
            return None
        instances = rules.parse_each(
            lambda annotation: self._read_annotation(annotation, names, size_hw),
            annotations,
            lambda position, annotation: f"image '{task.name}', annotation {annotation.get('id', f'at position {position}')!s:.40}",
            report,
        )
        return rules.build_image(task.name, size_hw, attributes, instances, report, source_id=image_id)

    def _read_annotation(self, annotation: dict, names: dict[int | str, Any], size_hw: tuple[int, int]) -> InstanceRecord:
        entries = read_label(annotation, names, self.table)
        segmentation, counts, bbox = annotation.get("segmentation"), None, None
        if isinstance(segmentation, dict) and segmentation:
            counts = rules.read_run_lengths(segmentation, size_hw)
        elif isinstance(segmentation, list) and segmentation:
            counts = counts_from_polygons([rules.parse_points(polygon) for polygon in segmentation], size_hw)
        elif segmentation:
            raise rules.RecordError(
                "malformed polygon", f"segmentation must be a list of polygons or run lengths, got {segmentation!r:.40}"
            )
        elif annotation.get("bbox") is not None:
            bbox = _read_box(annotation["bbox"])
        return rules.build_instance(entries, bbox, counts, size_hw)


def read_label(annotation: Any, names: dict[int | str, Any], table: LabelTable) -> dict:
    """Return what an annotation or a segment of COCO says beside its pixels, as entries of an instance record.

    Args:
        annotation: The JSON object.
        names: Name of each category by its id in the file.
        table: The classes wanted.

    Raises:
        RecordError: If it is malformed or of another class.
    """
    if not isinstance(annotation, dict):
        raise rules.RecordError("malformed label", f"a label must be an object, got {type(annotation).__name__}")
    category_id, attributes = annotation.get("category_id"), annotation.get("attributes") or {}
    if not isinstance(category_id, (int, str)) or category_id not in names:
        raise rules.RecordError("no category", f"the file has no category {category_id!r:.40}")
    if not isinstance(attributes, dict):
        raise rules.RecordError("malformed label", f"attributes must be an object, got {type(attributes).__name__}")
    category, uncertain = rules.resolve_category(names[category_id], table.names)
    # Without flags of its own, 'ignore' tells ignored regions from crowds: 'iscrowd' is set for both.
    ignore = rules.parse_flag("ignore", annotation.get("ignore"))
    crowd = rules.parse_flag("iscrowd", annotation.get("iscrowd"))
    ignored = rules.parse_flags(attributes, annotation, {"ignored": ignore})["ignored"]
    flags = rules.parse_flags(attributes, annotation, {"ignored": ignored, "crowd": crowd and not ignored})
    return {
        "category_id": table.labels[table.index(category)].raw_id,
        "source_id": rules.parse_id(annotation.get("scalabel_id", annotation.get("id"))),
        "score": None if annotation.get("score") is None else rules.parse_number("score", annotation["score"]),
        **flags,
        "ignored": ignored or uncertain,
    }


def _read_box(bbox: Any) -> tuple:
    if not isinstance(bbox, list) or len(bbox) != 4:
        raise rules.RecordError("malformed box", f"bbox must be [x, y, width, height], got {bbox!r:.100}")
    return tuple(rules.parse_number(name, value) for name, value in zip(("x", "y", "width", "height"), bbox))


@dataclass(frozen=True)
class CocoWriter(Writer):
    """A COCO instances file; image and annotation ids count from 1 in the order of the images.

    Beside COCO's own keys, images carry ``attributes`` (weather, scene, time of day) and annotations ``ignore``,
    ``attributes`` (the four flags) and ``scalabel_id``; ``iscrowd`` is set for crowds and for ignored instances.

    Attributes:
        path: The JSON file.
        table: The classes.
        polygons: Write masks as polygons where ``iscrowd`` is not set, which cover the same pixels; regions with holes become several.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    polygons: bool = False

    def render(self, image: ImageRecord, report: ConversionReport) -> tuple[dict, list[dict]]:
        """Return the image's entry and those of its annotations, without the ids that count over all images."""
        report.images_out += 1
        report.instances_out += len(image.instances)
        entry = {"file_name": image.name, "height": image.size_hw[0], "width": image.size_hw[1], "attributes": image.attributes}
        return entry, [_render_annotation(instance, image.size_hw, polygons=self.polygons) for instance in image.instances]

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[tuple[dict, list[dict]]], None]]:
        """Give the function that adds a rendered image."""
        count = itertools.count(1)
        with open_lists(self.path, self.table) as add:
            yield lambda rendered: add(rendered[0], [{"id": next(count), **annotation} for annotation in rendered[1]])


@contextlib.contextmanager
def open_lists(path: Path, table: LabelTable) -> Iterator[Callable[[dict, list[dict]], None]]:
    """Open a COCO file for writing; it appears when the block ends well.

    Gives a function that adds an image's entry, whose id counts from 1, and its annotations, which wait on disk until the list of images is
    complete.
    """
    categories = [
        {"id": row.raw_id, "name": row.name, "supercategory": row.group, "isthing": int(row.is_thing), "color": list(row.color)}
        for row in table.labels
    ]
    count, separators = itertools.count(1), {}
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=temporary.parent) as annotations,
    ):
        head = {"info": {"description": table.name}, "categories": categories}
        file.write(f'{compact_json(head)[:-1]},\n"images":[')

        def add(entry: dict, own: list[dict]) -> None:
            number = next(count)
            for stream, row in ((file, {"id": number, **entry}), *((annotations, {"image_id": number, **row}) for row in own)):
                stream.write(separators.get(stream, "") + "\n" + compact_json(row))
                separators[stream] = ","

        yield add
        file.write('],\n"annotations":[')
        annotations.seek(0)
        shutil.copyfileobj(annotations, file)
        file.write("]}\n")


def _render_annotation(instance: InstanceRecord, size_hw: tuple[int, int], *, polygons: bool) -> dict:
    annotation = {
        "category_id": instance.category_id,
        "bbox": list(instance.bbox),
        "area": instance.area,
        "iscrowd": int(instance.crowd or instance.ignored),
        "ignore": int(instance.ignored),
        "attributes": instance.flags,
        "scalabel_id": instance.source_id,
    }
    if instance.counts is not None and polygons and not annotation["iscrowd"]:
        annotation["segmentation"] = [[x for point in polygon for x in point] for polygon in trace_counts(instance.counts, size_hw)]
    elif instance.counts is not None:
        annotation["segmentation"] = {"size": list(size_hw), "counts": encode_counts(instance.counts)}
    if instance.score is not None:
        annotation["score"] = instance.score
    return annotation
