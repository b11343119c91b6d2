"""Cityscapes' files: for each image polygons in JSON, a PNG of label ids and one of instance ids.

Where there is a PNG of instance ids, its pixels count; else the polygons, drawn as Cityscapes' own tools draw them; else the label ids. A
pixel of an instance map is ``1000 · id + number`` of an object, or the id of a class alone where objects are not told apart. In the JSON,
``cargroup`` is a crowd of cars, and a later polygon lies on the earlier ones.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mmstreet.files.atomic import write_bytes
from mmstreet.files.images import ImageFileError, open_header, read_regular_file, write_image
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.rle import bbox_from_runs, counts_from_runs, mask_from_counts, runs_from_mask
from mmstreet.files.walk import find_files
from mmstreet.formats import rules
from mmstreet.formats.class_lists import read_class_list, renumber, write_class_list
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import compact_json, load_json
from mmstreet.formats.outlines import trace_centres
from mmstreet.formats.overlaps import visible_instances
from mmstreet.formats.pictures import image_names, refuse_taken
from mmstreet.formats.records import ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.formats.segments import split_by_value
from mmstreet.formats.semantic import read_map, regions_of
from mmstreet.labels import CITYSCAPES19, LabelTable, get_table

_KINDS = ("instanceIds.png", "polygons.json", "labelIds.png")
_SAME = {"pedestrian": "person"}
_PER_CLASS = 1000


def label_stem(name: str) -> str:
    """Return the path of an image without what its file name ends with: ``a/x_leftImg8bit.png`` is ``a/x``."""
    return PurePosixPath(name).with_suffix("").as_posix().removesuffix("_leftImg8bit")


@dataclass(frozen=True)
class CityscapesReader(Reader):
    """A folder of Cityscapes' label files, ``gtFine`` or the one above it.

    Attributes:
        path: The folder.
        table: The classes wanted, with Cityscapes' label ids as ids on disk; what other classes cover is void.
        image_root: Image folder, ``leftImg8bit``, to find names and to check sizes; ``None`` trusts the labels.
        image_suffix: Ending of images that are not found.
    """

    path: Path
    table: LabelTable = CITYSCAPES19
    image_root: Path | None = None
    image_suffix: str = "_leftImg8bit.png"

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes in ``classes.json``."""
        return read_class_list(path)

    def tasks(self) -> list[Task]:
        """Return one task per image, the best of its label files as the payload.

        Raises:
            FileNotFoundError: If there is none.
        """
        root = next((Path(self.path) / name for name in ("gtFine", "gtCoarse") if (Path(self.path) / name).is_dir()), Path(self.path))
        found: dict[str, Path] = {}
        for kind in reversed(_KINDS):
            for name in find_files(root, f"_{kind}"):
                found[name.removesuffix(f"_{kind}").removesuffix("_gtFine").removesuffix("_gtCoarse")] = root / name
        if not found:
            raise FileNotFoundError(f"no label files of Cityscapes below {self.path}: expected *_gtFine_polygons.json or *_instanceIds.png")
        stems, (end, dot, ending) = sorted(found), self.image_suffix.rpartition(".")
        names = image_names((stem + end for stem in stems), self.image_root, dot + ending)
        plain = image_names(stems, self.image_root, "")  # images of other data sets, whose names end with their number
        return [Task(name if other == stem else other, 0, str(found[stem])) for name, other, stem in zip(names, plain, stems)]

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn the labels of one image into an image record."""
        report.images_in += 1
        path, instances = Path(task.payload), []
        try:
            if path.suffix == ".json":
                size_hw, instances = self._read_polygons(path, report)
            elif path.name.endswith("_labelIds.png"):
                labels = read_map(path, self.table, report)
                size_hw, instances = labels.shape, regions_of(labels, self.table)
                report.instances_in += len(instances)
            else:
                size_hw, instances = self._read_instance_ids(path, report)
            rules.check_image(task.name, size_hw, self.image_root)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"{path}: {error}", instances=len(instances))
            return None
        return rules.build_image(task.name, size_hw, {}, instances, report)

    def _read_instance_ids(self, path: Path, report: ConversionReport) -> tuple[tuple[int, int], list[InstanceRecord]]:
        try:
            picture = open_header(read_regular_file(path), path)
            if picture is None or picture.mode not in ("L", "I", "I;16"):
                raise ValueError("expected a grey PNG of instance ids")
            pixels = np.asarray(picture).astype(np.int64)
        except (FileNotFoundError, ImageFileError, OSError, SyntaxError, ValueError) as error:
            raise rules.RecordError("map of instance ids is unreadable", str(error)) from error
        classes, instances = {label.raw_id: label for label in self.table.labels}, []
        for value, bbox, counts in split_by_value(pixels):
            raw_id = value if value < _PER_CLASS else value // _PER_CLASS
            if raw_id in (0, IGNORE_INDEX, *self.table.void_ids):
                continue
            report.instances_in += 1
            if raw_id not in classes:
                report.skip_instance("class id is not in the table", f"{path}: table '{self.table.name}' has no id {raw_id} ({value})")
                continue
            crowd = classes[raw_id].is_thing and value < _PER_CLASS
            instances.append(InstanceRecord(raw_id, "", bbox, counts, crowd=crowd))
        return pixels.shape, instances

    def _read_polygons(self, path: Path, report: ConversionReport) -> tuple[tuple[int, int], list[InstanceRecord]]:
        try:
            content = load_json(path)
            size_hw = rules.parse_size({"height": content["imgHeight"], "width": content["imgWidth"]})
            objects = content["objects"]
            if not isinstance(objects, list):
                raise ValueError("objects must be a list")
        except (KeyError, TypeError, ValueError) as error:
            raise rules.RecordError("polygon file is malformed", f"expected imgHeight, imgWidth and objects ({error!r:.200})") from error
        report.instances_in += len(objects)
        instances: list[InstanceRecord] = []
        for position, raw in enumerate(objects):
            counts = None
            try:
                if isinstance(raw, dict) and raw.get("deleted"):
                    raise rules.RecordError("object is marked as deleted", "its entry says deleted")
                counts = _draw(raw, size_hw)
                instances.append(rules.build_instance(self._read_label(raw), None, counts, size_hw))
            except rules.RecordError as error:
                report.skip_instance(error.reason, f"{path}, object {position}: {error}")
                if counts is not None:  # void lies on what came before it
                    left = [_cut(instance, counts, size_hw) for instance in instances]
                    instances = [instance for instance in left if instance is not None]
                    for _ in range(len(left) - len(instances)):
                        report.skip_instance("object is covered by one of no class", f"{path}: by object {position}")
        return size_hw, instances

    def _read_label(self, raw: dict) -> dict:
        label = raw.get("label")
        crowd = isinstance(label, str) and label.endswith("group") and label.removesuffix("group") in self.table.names
        category, ignored = rules.resolve_category(label.removesuffix("group") if crowd else label, self.table.names)
        row = self.table.labels[self.table.index(category)]
        return {"category_id": row.raw_id, "source_id": "", "crowd": crowd and row.is_thing, "ignored": ignored}


def _draw(raw: Any, size_hw: tuple[int, int]) -> np.ndarray:
    """Return the run lengths of an object's polygon, filled with its border."""
    if not isinstance(raw, dict):
        raise rules.RecordError("malformed label", f"an object must have label and polygon, got {type(raw).__name__}")
    points = rules.parse_points(raw.get("polygon"))
    if not len(points):
        raise rules.RecordError("malformed polygon", "its polygon has no point")
    low = np.clip(np.floor(points.min(0)), 0, size_hw[::-1]).astype(int)
    high = np.clip(np.ceil(points.max(0)) + 1, low, size_hw[::-1]).astype(int)
    # Not moved to the corner of the canvas: Pillow rounds where edges cross rows, and a polygon that is moved may differ by a pixel.
    canvas = Image.new("L", tuple(high.tolist()))
    corners = [tuple(point) for point in points.tolist()]
    ImageDraw.Draw(canvas).polygon(corners if len(corners) > 1 else corners * 2, fill=1)
    mask = np.asarray(canvas.crop((*low.tolist(), *high.tolist()))) > 0
    return counts_from_runs(runs_from_mask(mask, origin_xy=tuple(low.tolist()), size_hw=size_hw), size_hw)


def _cut(instance: InstanceRecord, counts: np.ndarray, size_hw: tuple[int, int]) -> InstanceRecord | None:
    """Return an instance without the pixels of another mask, ``None`` if none is left."""
    left = mask_from_counts(instance.counts, size_hw) & ~mask_from_counts(counts, size_hw)
    runs = runs_from_mask(left)
    return replace(instance, counts=counts_from_runs(runs, size_hw), bbox=bbox_from_runs(runs, size_hw[0])) if len(runs) else None


@dataclass(frozen=True)
class CityscapesWriter(Writer):
    """``gtFine/STEM_gtFine_{polygons.json,labelIds.png,instanceIds.png}`` for each image, and ``classes.json``.

    Ids are Cityscapes' own if every class is one of its 19; otherwise the table's, counted from 1 where these do not lie in 1…64. The
    polygons, one for each part of an object, give the same pixels as the PNGs.
    """

    path: Path
    table: LabelTable = CITYSCAPES19
    holds = frozenset({"objects", "crowd"})
    is_folder = True

    def target(self, name: str) -> str:
        """Return the beginning of the names of the image's label files."""
        return f"gtFine/{label_stem(name)}_gtFine"

    def picture_target(self, name: str) -> str:
        """Return where the image belongs."""
        return f"leftImg8bit/{label_stem(name)}_leftImg8bit{PurePosixPath(name).suffix}"

    @cached_property
    def written_table(self) -> LabelTable:
        """The classes with the names and ids that are written."""
        names = [_SAME.get(name, name) for name in self.table.names]
        if not set(names) <= set(CITYSCAPES19.names) or len(set(names)) < len(names):
            return renumber(self.table, low=1, high=64)
        ids = [CITYSCAPES19.labels[CITYSCAPES19.index(name)].raw_id for name in names]
        return get_table([{**row, "name": name, "id": i} for row, name, i in zip(self.table.rows, names, ids)], name="cityscapes")

    def render(self, image: ImageRecord, report: ConversionReport) -> None:
        """Write the three files."""
        owner, visible = visible_instances(image, report)
        instance_ids = self._number(visible, len(image.instances), image.name, report)[owner]
        target = f"{Path(self.path) / self.target(image.name)}_"
        content = {"imgHeight": image.size_hw[0], "imgWidth": image.size_hw[1], "objects": self._outline(instance_ids)}
        refuse_taken(Path(f"{target}polygons.json"))
        write_bytes(compact_json(content).encode(), f"{target}polygons.json", durable=False)
        labels = np.where(instance_ids < _PER_CLASS, instance_ids, instance_ids // _PER_CLASS).astype(np.uint8)
        write_image(labels, f"{target}labelIds.png")
        write_image(instance_ids, f"{target}instanceIds.png")
        report.images_out += 1

    def _number(self, visible: list[tuple[int, InstanceRecord]], count: int, name: str, report: ConversionReport) -> np.ndarray:
        """Return the value in the instance map for each number of an owner, uint16 ``[count + 1]``."""
        rows = {label.raw_id: row for label, row in zip(self.table.labels, self.written_table.labels)}
        ids, numbers = np.zeros(count + 1, np.uint16), dict.fromkeys(rows, 0)
        for number, instance in visible:
            row, where = rows[instance.category_id], f"image '{name}', label {instance.source_id or 'without id'}"
            alone = row.is_thing and not instance.crowd
            if alone and numbers[instance.category_id] == _PER_CLASS:
                report.skip_instance(f"more than {_PER_CLASS} objects of one class", where)
                continue
            ids[number] = row.raw_id * _PER_CLASS + numbers[instance.category_id] if alone else row.raw_id
            numbers[instance.category_id] += alone
            if not alone and ids[number] in ids[:number]:
                report.lose("region united with others of its class", where)
            report.instances_out += 1
        return ids

    def _outline(self, instance_ids: np.ndarray) -> list[dict]:
        """Return the objects of the JSON file, one for each part of each value of an instance map."""
        rows, objects = {row.raw_id: row for row in self.written_table.labels}, []
        for value, (x, y, width, height), counts in split_by_value(instance_ids):
            row = rows.get(value if value < _PER_CLASS else value // _PER_CLASS)
            if row is not None:
                label = f"{row.name}group" if row.is_thing and value < _PER_CLASS else row.name
                mask = mask_from_counts(counts, instance_ids.shape)[y : y + height, x : x + width]
                for polygon in trace_centres(mask):
                    objects.append({"label": label, "polygon": [[px + x, py + y] for px, py in polygon]})
        return objects

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[None], None]]:
        """Give a function that does nothing: the files are written where they are rendered."""
        write_class_list(self.written_table, self.path)
        yield lambda rendered: None
