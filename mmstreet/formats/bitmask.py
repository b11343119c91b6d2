"""BDD100K's instance bitmasks as files: a folder of RGBA PNGs, one per image under the image's name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from mmstreet.deps import installed, require
from mmstreet.files.atomic import atomic_path
from mmstreet.files.images import open_header, read_regular_file
from mmstreet.files.walk import find_files
from mmstreet.formats.bitmask_codec import MAX_ANN_ID, decode_bitmask, encode_bitmask
from mmstreet.formats.class_lists import read_class_list, renumber, write_class_list
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.overlaps import visible_instances
from mmstreet.formats.pictures import image_names, refuse_taken
from mmstreet.formats.records import FLAGS, ImageRecord, Reader, Task, Writer
from mmstreet.formats.rules import RecordError, build_image, check_image, known_categories
from mmstreet.labels import BDD100K_INS8, LabelTable


def read_bitmask(path: str | Path) -> np.ndarray:
    """Read a bitmask PNG as RGBA, uint8 ``[H, W, 4]``, perhaps not writable.

    Pillow reads it, because OpenCV hands out BGRA. Where kornia_rs is installed (extra ``instances`` brings it), it decodes in a fifth of
    Pillow's time, which is most of a conversion.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no picture, is cut off, too large, or has another mode than RGBA; the message names it.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no bitmask at {path}")
    data = read_regular_file(path)
    picture = open_header(data, path)
    if picture is not None and picture.mode != "RGBA":
        raise ValueError(f"{path} has mode {picture.mode}, a bitmask is RGBA; is this a colour map or a semantic mask?")
    try:
        if picture is None:
            raise ValueError(f"no picture in {len(data)} bytes")
        return _decode(picture, data)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a PNG ({error}); fetch or write the file again") from error


def _decode(picture: Image.Image, data: bytes) -> np.ndarray:
    if picture.format == "PNG" and installed("kornia_rs"):
        kornia = require("kornia_rs", extra="instances")
        # kornia_rs raises nothing more precise; what it does not read, Pillow names or reads on.
        with contextlib.suppress(Exception):
            return kornia.io.decode_image_png_u8(data, picture.size[::-1], "rgba")
    return np.asarray(picture)


def write_bitmask(path: str | Path, rgba: np.ndarray) -> None:
    """Write RGBA, uint8 ``[H, W, 4]``, as a PNG.

    Raises:
        ValueError: If shape or dtype differ.
    """
    if rgba.ndim != 3 or rgba.shape[2] != 4 or rgba.dtype != np.uint8:
        raise ValueError(f"a bitmask is uint8 [H, W, 4], got {rgba.dtype} {list(rgba.shape)}")
    Image.fromarray(rgba).save(path, format="PNG")


@dataclass(frozen=True)
class BitmaskReader(Reader):
    """Every ``*.png`` below a folder, in the order of their paths.

    Attributes:
        path: Folder of bitmasks.
        table: The classes wanted; others are counted and left out.
        image_root: Image folder, to check names and sizes; ``None`` trusts the bitmasks.
        image_suffix: Suffix of the images that the bitmasks belong to.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    image_root: Path | None = None
    image_suffix: str = ".jpg"

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes in ``classes.json``."""
        return read_class_list(path)

    def tasks(self) -> list[Task]:
        """Return one task per bitmask, its path below the folder as the payload.

        Raises:
            FileNotFoundError: If there is none.
        """
        found = find_files(self.path, ".png")
        if not found:
            raise FileNotFoundError(f"no bitmasks below {self.path}: expected *.png files")
        names = image_names((path.removesuffix(".png") for path in found), self.image_root, self.image_suffix)
        return [Task(name, 0, path) for name, path in zip(names, found)]

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one bitmask into an image record."""
        report.images_in += 1
        instances = []
        try:
            try:
                rgba = read_bitmask(Path(self.path) / task.payload)
                instances = decode_bitmask(rgba)
            except (FileNotFoundError, ValueError) as error:
                raise RecordError("bitmask is unreadable", str(error)) from error
            report.instances_in += len(instances)
            check_image(task.name, rgba.shape[:2], self.image_root)
        except RecordError as error:
            report.skip_image(error.reason, f"bitmask '{task.payload}': {error}", instances=len(instances))
            return None
        return build_image(task.name, rgba.shape[:2], {}, known_categories(task.name, instances, self.table, report), report)


@dataclass(frozen=True)
class BitmaskWriter(Writer):
    """A folder of bitmasks, one PNG per image under the image's name, and ``classes.json``.

    The annotation id is the instance's source id when all ids of the image are different whole numbers up to 65535;
    otherwise instances are numbered from 1. Category ids are those of the table, counted from 1 where these do not lie in 1…255.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    holds = frozenset({"objects", "ids", *FLAGS})
    is_folder = True

    def target(self, name: str) -> str:
        """Return the PNG's name: images that differ only in their suffix have the same one."""
        return PurePosixPath(name).with_suffix(".png").as_posix()

    @cached_property
    def written_table(self) -> LabelTable:
        """The classes with the category ids that are written."""
        return renumber(self.table, low=1, high=254)

    def render(self, image: ImageRecord, report: ConversionReport) -> None:
        """Write the PNG."""
        owner, visible = visible_instances(image, report)
        instances = [instance for instance in image.instances if instance.counts is not None]
        ids = [instance.source_id for instance in instances]
        if not all(i.isdecimal() and len(i) < 20 and int(i) <= MAX_ANN_ID for i in ids) or len({int(i) for i in ids}) != len(ids):
            if any(ids):
                report.note("ids do not fit a bitmask, numbered from 1", f"image '{image.name}': ids {', '.join(ids)!s:.100}")
            ids = range(1, len(ids) + 1)
        flags = {flag: [getattr(instance, flag) for instance in instances] for flag in FLAGS}
        category = {label.raw_id: written.raw_id for label, written in zip(self.table.labels, self.written_table.labels)}
        rgba = encode_bitmask(owner, [category[instance.category_id] for instance in instances], [int(i) for i in ids], **flags)
        path = Path(self.path) / self.target(image.name)
        refuse_taken(path)
        with atomic_path(path) as temporary:
            write_bitmask(temporary, rgba)
        report.images_out += 1
        report.instances_out += len(visible)

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[None], None]]:
        """Give a function that does nothing: the files are written where they are rendered."""
        Path(self.path).mkdir(parents=True, exist_ok=True)
        write_class_list(self.written_table, self.path)
        yield lambda rendered: None
