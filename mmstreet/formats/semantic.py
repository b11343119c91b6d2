"""Label maps as files: a folder of PNGs that hold the class id of each pixel, 255 where it has none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from mmstreet.files.images import ImageFileError, read_regular_file, write_image
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.walk import find_files
from mmstreet.formats.class_lists import read_class_list, renumber, write_class_list
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.label_files import decode_labels
from mmstreet.formats.overlaps import visible_instances
from mmstreet.formats.pictures import image_names, refuse_taken
from mmstreet.formats.records import ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.formats.rules import RecordError, build_image, check_image
from mmstreet.formats.segments import split_by_value
from mmstreet.labels import BDD100K_SEM19, LabelTable, outside_message

_PNG = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
_HELD = frozenset[str]()
"""A label map says the class of each pixel and nothing else."""


def regions_of(labels: np.ndarray, table: LabelTable) -> list[InstanceRecord]:
    """Return one region for each class of a label map; those of countable classes are crowds, for their objects are not told apart.

    Args:
        labels: Train ids, uint8 ``[H, W]``, 255 where there is none.
        table: Their class table.
    """
    return [
        InstanceRecord(table.labels[value].raw_id, "", bbox, counts, crowd=table.labels[value].is_thing)
        for value, bbox, counts in split_by_value(labels)
        if value != IGNORE_INDEX
    ]


def render_label_map(image: ImageRecord, ids: dict[int, int], report: ConversionReport) -> np.ndarray:
    """Return the class of each pixel, uint8 ``[H, W]``, 255 where no instance is; the last one owns a pixel, or that of the best score.

    Args:
        image: The image.
        ids: What to write for each ``category_id``.
        report: Counts the instances that are written, merged, or written as void because they are ignored.
    """
    owner, visible = visible_instances(image, report)
    lut, there = np.full(len(image.instances) + 1, IGNORE_INDEX, np.uint8), set()
    for number, instance in visible:
        where = f"image '{image.name}', label {instance.source_id or 'without id'}"
        if instance.ignored:
            report.lose("class of an ignored instance, written as void", where)
            continue
        lut[number] = ids[instance.category_id]
        if instance.category_id in there:
            report.lose("object merged with others of its class", where)
        there.add(instance.category_id)
    report.images_out += 1
    report.instances_out += len(visible)
    return lut[owner]


@dataclass(frozen=True)
class SemanticReader(Reader):
    """Every label map below a folder, in the order of their paths; ids, palettes and RGB pictures are told apart.

    Attributes:
        path: Folder of PNG files.
        table: Class table of the ids or colours on disk.
        image_root: Image folder, to find names and to check sizes; ``None`` trusts the label maps.
        image_suffix: Suffix of the images that the label maps belong to, where ``image_root`` does not have them.
        label_suffix: Ending of the label maps.
        palette: What the pixels of a palette image are: ``'color'`` or ``'index'``.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    image_root: Path | None = None
    image_suffix: str = ".jpg"
    label_suffix: str = ".png"
    palette: str = "color"

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes in ``classes.json``."""
        return read_class_list(path)

    def tasks(self) -> list[Task]:
        """Return one task per label map, its path below the folder as the payload.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = find_files(self.path, self.label_suffix)
        if not found:
            raise FileNotFoundError(f"no label maps below {self.path}: expected *{self.label_suffix} files")
        names = image_names((path.removesuffix(self.label_suffix) for path in found), self.image_root, self.image_suffix)
        return [Task(name, 0, path) for name, path in zip(names, found)]

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one label map into an image record; ids that the table does not have are void, and are counted."""
        path = Path(self.path) / task.payload
        report.images_in += 1
        try:
            labels = read_map(path, self.table, report, palette=self.palette)
            check_image(task.name, labels.shape, self.image_root)
        except RecordError as error:
            report.skip_image(error.reason, f"label map '{task.payload}': {error}", instances=0)
            return None
        instances = regions_of(labels, self.table)
        report.instances_in += len(instances)
        return build_image(task.name, labels.shape, {}, instances, report)


def read_map(source: Path | bytes, table: LabelTable, report: ConversionReport, *, palette: str = "color", where: str = "") -> np.ndarray:
    """Read a label map, a file or its bytes, as train ids, uint8 ``[H, W]``; ids that are not in the table are void and counted.

    Raises:
        RecordError: If it is missing or cannot be used.
    """
    where = where or str(source)
    try:
        data = source if isinstance(source, bytes) else read_regular_file(source)
        labels, outside = decode_labels(data, table, path=where, palette=palette)
    except (FileNotFoundError, ImageFileError) as error:
        raise RecordError("label map is unreadable", str(error)) from error
    for stray in outside:
        sentence = outside_message(table, stray.label_id, path=where, y=stray.y, x=stray.x, count=stray.count)
        report.lose("id outside the class table, read as void", sentence)
    return labels


@dataclass(frozen=True)
class SemanticWriter(Writer):
    """A folder of label maps, one PNG of ids per image under the image's name, and ``classes.json``.

    The ids are the table's ids on disk, counted from 0 where these do not fit.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    holds = _HELD
    is_folder = True

    def target(self, name: str) -> str:
        """Return the PNG's name: images that differ only in their suffix have the same one."""
        return PurePosixPath(name).with_suffix(".png").as_posix()

    @cached_property
    def written_table(self) -> LabelTable:
        """The classes with the ids that are written."""
        return renumber(self.table, low=0, high=IGNORE_INDEX - 1)

    def render(self, image: ImageRecord, report: ConversionReport) -> None:
        """Write the PNG."""
        ids = {label.raw_id: written.raw_id for label, written in zip(self.table.labels, self.written_table.labels)}
        write_new(render_label_map(image, ids, report), Path(self.path) / self.target(image.name))

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[None], None]]:
        """Give a function that does nothing: the files are written where they are rendered."""
        Path(self.path).mkdir(parents=True, exist_ok=True)
        write_class_list(self.written_table, self.path)
        yield lambda rendered: None


def encode_map(labels: np.ndarray) -> bytes:
    """Return a map of ids, uint8 ``[H, W]``, as the bytes of a PNG."""
    return cv2.imencode(".png", labels, _PNG)[1].tobytes()


def write_new(labels: np.ndarray, path: Path) -> None:
    """Write a map of ids, uint8 or uint16 ``[H, W]``, as a PNG.

    Raises:
        OSError: If there is a file of that name: on this disk, two names are one.
    """
    refuse_taken(path)
    write_image(labels, path, settings=_PNG)
