"""COCO panoptic: a JSON file, and beside it a PNG for each image whose colours are the ids of segments, ``R + 256 G + 256² B``.

Source: the data format page of the COCO data set. Beside COCO's own keys, images carry ``attributes`` and segments ``attributes`` (the four
flags), ``scalabel_id`` and ``score``, as in the instances files of this package.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from mmstreet.files.atomic import atomic_path
from mmstreet.files.images import ImageFileError, open_header, read_regular_file
from mmstreet.formats import rules
from mmstreet.formats.class_lists import table_from_categories
from mmstreet.formats.coco import open_lists, read_label
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import load_json
from mmstreet.formats.overlaps import visible_segments
from mmstreet.formats.pictures import refuse_taken
from mmstreet.formats.records import FEATURES, ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.formats.segments import Segment, split_by_value
from mmstreet.labels import BDD100K_SEM19, LabelTable

NAME = "panoptic"


def find_json(path: str | Path) -> Path:
    """Return the JSON file at a path: itself, or the only one in a folder.

    Raises:
        FileNotFoundError: If there is none, or several.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.json"))
    if len(found) != 1:
        raise FileNotFoundError(f"{path} holds {len(found)} JSON files, expected one of COCO panoptic; name the file itself")
    return found[0]


@dataclass(frozen=True)
class CocoPanopticReader(Reader):
    """A COCO panoptic file with its PNGs in the folder of its name without ``.json``.

    Attributes:
        path: The JSON file, or a folder that holds no other.
        table: The classes wanted; categories are matched by name.
        image_root: Image folder, to check names and sizes; ``None`` trusts the JSON.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    image_root: Path | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the categories of the file."""
        path = find_json(path)
        coco = load_json(path)
        return table_from_categories(coco.get("categories") if isinstance(coco, dict) else None, path)

    def tasks(self) -> Iterator[Task]:
        """Yield each image; the payload is its entry, its size, its attributes, its annotation and the names of the categories.

        Raises:
            ValueError: If the file is no COCO panoptic JSON, or an annotation belongs to no image.
        """
        path = find_json(self.path)
        coco = load_json(path)
        if not isinstance(coco, dict) or not all(isinstance(coco.get(key), list) for key in ("images", "annotations", "categories")):
            raise ValueError(f"{path} is no COCO panoptic file: expected the lists images, annotations and categories")
        if not all(isinstance(entry, dict) for key in ("images", "annotations", "categories") for entry in coco[key]):
            raise ValueError(f"{path}: images, annotations and categories must be objects")
        for entry in (*coco["images"], *coco["annotations"], *coco["categories"]):
            if not isinstance(entry.get("image_id", entry.get("id")), (int, str)):
                raise ValueError(f"{path}: each id must be text or a whole number, got {entry!r:.200}")
        names = {category.get("id"): category.get("name") for category in coco["categories"]}
        found: dict[Any, dict] = {}
        for annotation in coco["annotations"]:
            if not isinstance(annotation.get("segments_info"), list):
                raise ValueError(f"{path}: annotation {annotation!r:.200} has no list segments_info; is this a COCO instances file?")
            if found.setdefault(annotation.get("image_id"), annotation) is not annotation:
                raise ValueError(f"{path}: the image {annotation.get('image_id')!r} has two annotations; keep one")
        for image in coco["images"]:
            annotation = found.pop(image.get("id"), None)
            try:
                name, size_hw = rules.check_name(image.get("file_name")), rules.parse_size(image)
                attributes = rules.parse_attributes(image.get("attributes"))
                png = None if annotation is None else rules.check_name(annotation.get("file_name"))
            except ValueError as error:
                raise ValueError(f"{path}: image {image.get('id')!r} ({image.get('file_name')!r:.100}): {error}") from error
            segments = [] if annotation is None else annotation["segments_info"]
            yield Task(name, len(segments), (image.get("id"), size_hw, attributes, png, segments, names))
        if found:
            raise ValueError(f"{path}: no image has the image_id {next(iter(found))!r} of an annotation")

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one image and its segments into an image record."""
        image_id, size_hw, attributes, png, segments, names = task.payload
        report.images_in += 1
        report.instances_in += len(segments)
        try:
            rules.check_image(task.name, size_hw, self.image_root)
            found = {} if png is None else self._read_png(png, size_hw)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"image '{task.name}': {error}", instances=len(segments))
            return None
        known = {row["id"] for row in segments if isinstance(row, dict) and isinstance(row.get("id"), int)}
        for value in sorted(set(found) - known - {0}):
            report.note("segment of the PNG without an entry, void", f"image '{task.name}': {png} has segment {value}")
        instances = rules.parse_each(
            lambda row: self._read_segment(row, names, found, size_hw),
            segments,
            lambda position, row: f"image '{task.name}', segment {row.get('id') if isinstance(row, dict) else f'at {position}'!s:.40}",
            report,
        )
        return rules.build_image(task.name, size_hw, attributes, instances, report, source_id=image_id)

    def _read_png(self, name: str, size_hw: tuple[int, int]) -> dict[int, Segment]:
        path = find_json(self.path).with_suffix("") / name
        try:
            data = read_regular_file(path)
            picture = open_header(data, path)
            if picture is None or picture.mode not in ("RGB", "RGBA"):
                raise ValueError("expected an RGB PNG of segment ids")
            pixels = np.asarray(picture)[..., :3].astype(np.uint32)
        except (FileNotFoundError, ImageFileError, OSError, SyntaxError, ValueError) as error:
            raise rules.RecordError("segment PNG is missing or unreadable", f"{path}: {error}") from error
        if pixels.shape[:2] != tuple(size_hw):
            sentence = f"the JSON says {size_hw[1]}×{size_hw[0]} pixels, {path} has {pixels.shape[1]}×{pixels.shape[0]}"
            raise rules.RecordError("segment PNG has another size", sentence)
        return {segment.value: segment for segment in split_by_value(pixels[..., 0] | pixels[..., 1] << 8 | pixels[..., 2] << 16)}

    def _read_segment(self, row: Any, names: dict, found: dict[int, Segment], size_hw: tuple[int, int]) -> InstanceRecord:
        entries = read_label(row, names, self.table)
        if row.get("id") not in found:
            raise rules.RecordError("segment owns no pixel", f"the PNG has no pixel of segment {row.get('id')!r:.40}")
        return rules.build_instance(entries, None, found[row["id"]].counts, size_hw)


@dataclass(frozen=True)
class CocoPanopticWriter(Writer):
    """A folder with ``panoptic.json`` and the PNGs in ``panoptic/``; regions of one class that cannot be counted are one segment."""

    path: Path
    table: LabelTable = BDD100K_SEM19
    holds = frozenset(FEATURES) - {"overlaps", "boxes"}
    is_folder = True

    def target(self, name: str) -> str:
        """Return the PNG's name: images that differ only in their suffix have the same one."""
        return PurePosixPath(name).with_suffix(".png").as_posix()

    def render(self, image: ImageRecord, report: ConversionReport) -> tuple[dict, dict]:
        """Write the PNG; return the entries of image and annotation, without the ids that count over all images."""
        owner, segments = visible_segments(image, self.table, report)
        values = np.zeros((len(segments) + 1, 3), np.uint8)
        values[1:, 0], values[1:, 1] = np.arange(1, len(values)) % 256, np.arange(1, len(values)) // 256
        path = Path(self.path) / NAME / self.target(image.name)
        refuse_taken(path)
        with atomic_path(path) as temporary:
            Image.fromarray(values[owner]).save(temporary, "PNG")
        rows = []
        for number, (instance, bbox, area) in enumerate(segments, start=1):
            row = {"id": number, "category_id": instance.category_id, "iscrowd": int(instance.crowd or instance.ignored)}
            row |= {"bbox": list(bbox), "area": area, "ignore": int(instance.ignored)}
            row |= {"attributes": instance.flags, "scalabel_id": instance.source_id}
            rows.append(row | ({} if instance.score is None else {"score": instance.score}))
        report.images_out += 1
        entry = {"file_name": image.name, "height": image.size_hw[0], "width": image.size_hw[1], "attributes": image.attributes}
        return entry, {"file_name": self.target(image.name), "segments_info": rows}

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[tuple[dict, dict]], None]]:
        """Give the function that adds a rendered image."""
        with open_lists(Path(self.path) / f"{NAME}.json", self.table) as add:
            yield lambda rendered: add(rendered[0], [rendered[1]])
