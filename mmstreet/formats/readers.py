"""Reading bitmasks and COCO files as image records; the reader of Scalabel JSON is in ``scalabel_reader``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmstreet.files.rle import bbox_from_counts, counts_from_runs, parse_rle
from mmstreet.formats.bitmask import decode_bitmask, read_bitmask
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.poly2d import fill_outlines
from mmstreet.formats.records import ImageRecord, InstanceRecord, Task, drop_unknown_categories, record_from_bitmask
from mmstreet.formats.scalabel import LabelError, check_name, resolve_category
from mmstreet.formats.scalabel_reader import ImageFault, check_image
from mmstreet.labels import BDD100K_INS8, LabelTable


@dataclass(frozen=True)
class BitmaskReader:
    """Every ``*.png`` below a folder, in the order of their paths.

    Attributes:
        root: Folder of bitmasks.
        table: The classes wanted; others are counted and left out.
        image_root: Image folder, to check names and sizes; ``None`` trusts the bitmasks.
        image_suffix: Suffix of the images that the bitmasks belong to.
    """

    root: Path
    table: LabelTable = BDD100K_INS8
    image_root: Path | None = None
    image_suffix: str = ".jpg"

    def tasks(self) -> list[Task]:
        """Return one task per bitmask, its path below the folder as the payload.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = sorted(path.relative_to(self.root).as_posix() for path in Path(self.root).rglob("*.png"))
        if not found:
            raise FileNotFoundError(f"no bitmasks below {self.root}: expected *.png files")
        return [Task(Path(path).with_suffix(self.image_suffix).as_posix(), 0, path) for path in found]

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one bitmask into an image record."""
        report.images_in += 1
        try:
            rgba = read_bitmask(Path(self.root) / task.payload)
            painted = decode_bitmask(rgba)
        except ValueError as error:
            report.skip_image("bitmask is unreadable", f"bitmask '{task.payload}': {error}", instances=0)
            return None
        report.instances_in += len(painted)
        try:
            check_image(task.name, rgba.shape[:2], self.image_root)
        except ImageFault as fault:
            report.skip_image(fault.reason, str(fault), instances=len(painted))
            return None
        instances = drop_unknown_categories(task.name, map(record_from_bitmask, painted), self.table, report)
        return ImageRecord(task.name, rgba.shape[:2], {}, tuple(instances))


@dataclass(frozen=True)
class CocoReader:
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

    def tasks(self) -> Iterator[Task]:
        """Yield each image; the payload is its entry, its annotations and the names of the categories.

        Raises:
            ValueError: If a file is no COCO JSON, an image id stands twice, or an annotation belongs to no image.
        """
        coco = _load(self.path)
        if not isinstance(coco, dict) or not all(isinstance(coco.get(key), list) for key in ("images", "annotations", "categories")):
            raise ValueError(f"{self.path} is no COCO file: expected the lists images, annotations and categories")
        annotations = coco["annotations"]
        if self.predictions is not None:
            annotations = _load(self.predictions)
            if not isinstance(annotations, list):
                raise ValueError(f"{self.predictions} holds no COCO results: expected a list")
        by_image: dict[Any, list[dict]] = {}
        for image in coco["images"]:
            if not isinstance(image, dict) or not {"id", "file_name", "height", "width"} <= image.keys():
                raise ValueError(f"{self.path}: an image needs id, file_name, height and width, got {image!r:.200}")
            if not all(isinstance(image[key], int) and image[key] > 0 for key in ("height", "width")):
                raise ValueError(f"{self.path}: image '{image['file_name']}' needs height and width in pixels, got {image!r:.200}")
            if image["id"] in by_image:
                raise ValueError(f"{self.path}: image id {image['id']} stands twice")
            by_image[image["id"]] = []
        for annotation in annotations:
            if not isinstance(annotation, dict) or annotation.get("image_id") not in by_image:
                raise ValueError(f"{self.predictions or self.path}: no image has the image_id of annotation {annotation!r:.200}")
            by_image[annotation["image_id"]].append(annotation)
        names = {category["id"]: category["name"] for category in coco["categories"]}
        for image in coco["images"]:
            found = by_image.pop(image["id"])
            yield Task(check_name(image["file_name"]), len(found), (image, found, names))

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one image and its annotations into an image record."""
        image, annotations, names = task.payload
        size_hw = (image["height"], image["width"])
        report.images_in += 1
        report.instances_in += len(annotations)
        try:
            check_image(task.name, size_hw, self.image_root)
        except ImageFault as fault:
            report.skip_image(fault.reason, str(fault), instances=len(annotations))
            return None
        instances = []
        for annotation in annotations:
            try:
                instances.append(self._read_annotation(annotation, names, size_hw))
            except LabelError as error:
                report.skip_instance(error.reason, f"image '{task.name}', annotation {annotation.get('id')}: {error}")
        return ImageRecord(task.name, size_hw, image.get("attributes") or {}, tuple(instances))

    def _read_annotation(self, annotation: dict, names: dict[int, str], size_hw: tuple[int, int]) -> InstanceRecord:
        category = names.get(annotation.get("category_id"))
        if category is None:
            raise LabelError("no category", f"the file has no category {annotation.get('category_id')!r}")
        category, uncertain = resolve_category(category, self.table.names)
        attributes = annotation.get("attributes") or {}
        counts, bbox = _parse_segmentation(annotation.get("segmentation"), size_hw), annotation.get("bbox")
        if counts is not None:
            bbox = bbox_from_counts(counts, size_hw[0])
        elif not isinstance(bbox, list) or len(bbox) != 4 or not all(isinstance(x, (int, float)) for x in bbox):
            raise LabelError("neither box nor mask", "has neither a mask nor a box [x, y, width, height]")
        if not (bbox[2] > 0 and bbox[3] > 0):
            raise LabelError(f"{'box' if counts is None else 'mask'} holds no pixel of the image", f"its box is {list(bbox)}")
        ignored = bool(attributes.get("ignored", annotation.get("ignore", False)))
        return InstanceRecord(
            self.table.labels[self.table.index(category)].raw_id,
            str(annotation.get("scalabel_id", annotation.get("id", ""))),
            tuple(bbox),
            counts,
            truncated=bool(attributes.get("truncated", False)),
            occluded=bool(attributes.get("occluded", False)),
            crowd=bool(attributes.get("crowd", annotation.get("iscrowd", False) and not ignored)),
            ignored=ignored or uncertain,
            score=annotation.get("score"),
        )


def _parse_segmentation(segmentation: Any, size_hw: tuple[int, int]) -> np.ndarray | None:
    """Run lengths of a COCO mask, ``None`` when there is none."""
    if not segmentation:
        return None
    try:
        if isinstance(segmentation, dict):
            return parse_rle(segmentation, size_hw)
        outlines = [np.asarray(outline, np.float64).reshape(-1, 2) for outline in segmentation]
        if not all((abs(outline) < 1e9).all() for outline in outlines):
            raise ValueError("coordinates must be finite numbers")
        return counts_from_runs(fill_outlines(outlines, size_hw), size_hw)
    except (TypeError, ValueError) as error:
        raise LabelError("malformed mask", f"its segmentation cannot be read: {error}") from error


def _load(path: Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not whole JSON ({error}); fetch or write the file again") from error
