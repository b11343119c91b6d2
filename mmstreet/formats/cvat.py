"""CVAT's "Segmentation mask 1.1", an archive in the layout of Pascal VOC: classes and objects as colours of two PNGs per image.

``labelmap.txt`` has a line ``name:r,g,b::`` for each class, ``ImageSets/Segmentation/*.txt`` lists the images without their ending,
``SegmentationClass/NAME.png`` has the colours of the classes and ``SegmentationObject/NAME.png`` one for each object. Source: the page of
the format in CVAT's documentation. Archives are read and written, folders are read.
"""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from mmstreet.files.archive_files import ArchiveFiles
from mmstreet.files.atomic import atomic_path
from mmstreet.files.colors import spread_palette
from mmstreet.files.images import PICTURE_NAME, ImageFileError, open_header
from mmstreet.formats import rules
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.overlaps import visible_instances
from mmstreet.formats.pictures import image_names
from mmstreet.formats.records import ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.formats.segments import split_by_value
from mmstreet.labels import BDD100K_SEM19, LabelTable, get_table

LABELMAP, CLASS, OBJECT, SETS = "labelmap.txt", "SegmentationClass", "SegmentationObject", "ImageSets/Segmentation"
PICTURES = "JPEGImages"
_VOID = ((0, 0, 0), (224, 224, 192))
"""Background, and the border of Pascal VOC's objects."""


def object_color(number: int) -> tuple[int, int, int]:
    """Return Pascal VOC's colour of an object: its bits, three by three, become the upper bits of red, green and blue.

    Example:
        >>> [object_color(i) for i in (1, 2, 3, 8)]
        [(128, 0, 0), (0, 128, 0), (128, 128, 0), (64, 0, 0)]
    """
    return tuple(sum((number >> 3 * place + channel & 1) << 7 - place for place in range(8)) for channel in range(3))


def read_labelmap(path: str | Path) -> dict[tuple[int, int, int], str]:
    """Return the class of each colour in the ``labelmap.txt`` of an archive or folder.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If a line is of another form, or two classes have one colour.
    """
    try:
        text = ArchiveFiles(Path(path)).read(LABELMAP).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: {LABELMAP} is not UTF-8 text; save it as UTF-8") from error
    classes: dict[tuple[int, int, int], str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, rest = line.partition(":")
        parts = rest.partition(":")[0].split(",")
        if not name.strip() or len(parts) != 3 or not all(part.strip().isdecimal() and int(part) < 256 for part in parts):
            raise ValueError(f"{path}: line {number} of {LABELMAP} must be 'name:red,green,blue::', got {line!r:.100}")
        color = tuple(int(part) for part in parts)
        if classes.setdefault(color, name.strip()) != name.strip():
            raise ValueError(f"{path}: {LABELMAP} gives the colour {color} to '{classes[color]}' and to '{name.strip()}'")
    return classes


@dataclass(frozen=True)
class CvatReader(Reader):
    """An archive or a folder of class and object masks.

    Attributes:
        path: The ``.zip`` file, or the folder that holds ``labelmap.txt``.
        table: The classes wanted; those of ``labelmap.txt`` are matched by name.
        image_root: Image folder, to find names and to check sizes; ``None`` trusts the masks.
        image_suffix: Ending of images that are not found.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    image_root: Path | None = None
    image_suffix: str = ".jpg"

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes of ``labelmap.txt``, black and the border of objects left out; all can be counted."""
        rows = [{"name": name, "color": color, "thing": True} for color, name in read_labelmap(path).items() if color not in _VOID]
        return get_table(rows, name=f"{LABELMAP} of {path}")

    def tasks(self) -> list[Task]:
        """Return one task per mask of classes; the payload is its path and those of the mask of objects and the image, where there are any.

        Raises:
            FileNotFoundError: If there is no mask.
            ValueError: If the archive or the list of classes is damaged.
        """
        names = set(ArchiveFiles(self.path).names())
        masks = sorted(name for name in names if name.startswith(f"{CLASS}/") and name.lower().endswith(".png"))
        if not masks:
            raise FileNotFoundError(f"{self.path} holds no {CLASS}/*.png; expected CVAT's 'Segmentation mask 1.1' or Pascal VOC")
        read_labelmap(self.path)
        stems = [rules.check_name(name.removeprefix(f"{CLASS}/"))[:-4] for name in masks]
        objects = [f"{OBJECT}/{name.removeprefix(f'{CLASS}/')}" for name in masks]
        images = image_names(stems, self.image_root, self.image_suffix)
        inside = {PurePosixPath(x).with_suffix("").as_posix(): x for x in names if x.startswith(f"{PICTURES}/") and PICTURE_NAME.search(x)}
        tasks = []
        for stem, image, mask, other in zip(stems, images, masks, objects):
            picture = inside.get(f"{PICTURES}/{stem}") if self.image_root is None else None
            image = image if picture is None else picture.removeprefix(f"{PICTURES}/")
            tasks.append(Task(image, 0, (mask, other if other in names else None, picture)))
        return tasks

    @cached_property
    def _labelmap(self) -> dict[tuple[int, int, int], str]:
        return read_labelmap(self.path)

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn the masks of one image into an image record."""
        mask, objects, picture = task.payload
        report.images_in += 1
        try:
            pixels = self._read_colors(mask)
            if objects is not None:
                others = self._read_colors(objects)
                if others.shape != pixels.shape:
                    raise rules.RecordError("masks differ in size", f"{mask} is {pixels.shape[::-1]}, {objects} is {others.shape[::-1]}")
                pixels = pixels << 24 | others
            rules.check_image(task.name, pixels.shape, self.image_root)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"{self.path}: {error}", instances=0)
            return None
        instances = []
        for value, bbox, counts in split_by_value(pixels):
            color = value >> 24 if objects is not None else value
            color = (color >> 16, color >> 8 & 255, color & 255)
            if color in _VOID:
                continue
            report.instances_in += 1
            try:
                if color not in self._labelmap:
                    raise rules.RecordError("colour is not in labelmap.txt", f"{LABELMAP} has no colour {color}")
                name, ignored = rules.resolve_category(self._labelmap[color], self.table.names)
            except rules.RecordError as error:
                report.skip_instance(error.reason, f"{self.path}: '{mask}': {error}")
                continue
            row = self.table.labels[self.table.index(name)]
            instances.append(InstanceRecord(row.raw_id, "", bbox, counts, ignored=ignored, crowd=objects is None and row.is_thing))
        data = None if picture is None else ArchiveFiles(self.path).read(picture)
        return rules.build_image(task.name, pixels.shape, {}, instances, report, picture=data)

    def _read_colors(self, name: str) -> np.ndarray:
        try:
            picture = open_header(ArchiveFiles(self.path).read(name), name)
            if picture is None:
                raise ValueError("it is no picture")
            rgb = np.asarray(picture.convert("RGB")).astype(np.int64)
        except (FileNotFoundError, ImageFileError, OSError, SyntaxError, ValueError) as error:
            raise rules.RecordError("mask is unreadable", f"'{name}': {error}") from error
        return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


@dataclass(frozen=True)
class CvatWriter(Writer):
    """An archive that CVAT takes as annotations of a task with these images; colours are the table's where it has one for each class."""

    path: Path
    table: LabelTable = BDD100K_SEM19
    holds = frozenset({"objects"})

    def target(self, name: str) -> str:
        """Return the image's name without its ending."""
        return PurePosixPath(name).with_suffix("").as_posix()

    @cached_property
    def colors(self) -> dict[int, tuple[int, int, int]]:
        """The colour of each class by its id on disk, no two alike and none black."""
        own = [tuple(label.color) for label in self.table.labels]
        spare = iter(color for color in map(tuple, spread_palette(1000)) if color not in (*own, *_VOID))
        taken: set[tuple[int, int, int]] = set(_VOID)
        chosen = {}
        for label, color in zip(self.table.labels, own):
            chosen[label.raw_id] = next(spare) if color in taken else color
            taken.add(chosen[label.raw_id])
        return chosen

    def render(self, image: ImageRecord, report: ConversionReport) -> tuple[str, bytes, bytes]:
        """Return the image's name without ending and both PNG files."""
        owner, visible = visible_instances(image, report)
        classes, objects = np.zeros((2, len(image.instances) + 1, 3), np.uint8)
        for place, (number, instance) in enumerate(visible, start=1):
            classes[number], objects[number] = self.colors[instance.category_id], object_color(place)
        report.images_out += 1
        report.instances_out += len(visible)
        return self.target(image.name), _png(classes[owner]), _png(objects[owner])

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[tuple[str, bytes, bytes]], None]]:
        """Give the function that adds the masks of an image.

        Raises:
            ValueError: If a class name holds a colon or a line break, which ``labelmap.txt`` cannot.
        """
        strange = [name for name in self.table.names if ":" in name or not name.isprintable()]
        if strange:
            raise ValueError(f"class name {strange[0]!r} cannot be written to {LABELMAP}, where a colon ends a name; rename the class")
        names = []
        with atomic_path(self.path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:

            def add(rendered: tuple[str, bytes, bytes]) -> None:
                names.append(rendered[0])
                for folder, data in zip((CLASS, OBJECT), rendered[1:]):
                    archive.writestr(zipfile.ZipInfo(f"{folder}/{rendered[0]}.png"), data)

            yield add
            rows = [f"{label.name}:{','.join(map(str, self.colors[label.raw_id]))}::" for label in self.table.labels]
            lines = ["# label:color_rgb:parts:actions", "background:0,0,0::", *rows]
            archive.writestr(zipfile.ZipInfo(LABELMAP), "\n".join(lines) + "\n")
            archive.writestr(zipfile.ZipInfo(f"{SETS}/default.txt"), "".join(f"{name}\n" for name in names))


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
