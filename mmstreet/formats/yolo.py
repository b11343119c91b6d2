"""YOLO's segmentation labels: a text file per image with one line per object, its class and one polygon in shares of width and height.

A line has room for one polygon without holes, so that each hole and each further part of an object is reached by a line there and back,
which encloses nothing; regions that are no single object have a line per part. Filled by the rule of pixel centres, as pycocotools and
this package do, the polygon gives exactly the mask, and as Ultralytics fills it, all but the lines to further parts. ``data.yaml`` has the
names. Source: the page on segmentation data sets in the documentation of Ultralytics.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import yaml

from mmstreet.files.atomic import write_bytes, write_text
from mmstreet.files.rle import mask_from_counts
from mmstreet.files.text import read_text
from mmstreet.files.walk import find_files
from mmstreet.formats import rules
from mmstreet.formats.class_lists import number_names
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.outlines import trace_outline
from mmstreet.formats.overlaps import drawing_order
from mmstreet.formats.pictures import image_names, refuse_taken, split_folder, split_of
from mmstreet.formats.poly2d import counts_from_polygons
from mmstreet.formats.records import ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.labels import BDD100K_INS8, LabelTable

SETTINGS = "data.yaml"


def read_names(path: str | Path) -> list[str] | None:
    """Return the class names of the ``data.yaml`` in a folder or above it, a list or a dict from numbers; ``None`` if there is none.

    Raises:
        ValueError: If the file is malformed.
    """
    found = next((folder / SETTINGS for folder in (Path(path), *Path(path).parents[:2]) if (folder / SETTINGS).is_file()), None)
    if found is None:
        return None
    try:
        names = yaml.safe_load(read_text(found))["names"]
        names = names if isinstance(names, list) else [names[i] for i in range(len(names))]
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise ValueError(f"{found} must have 'names', a list of class names or a dict from 0, 1, 2, … ({error!r:.200})") from error
    return [str(name) for name in names]


@dataclass(frozen=True)
class YoloReader(Reader):
    """Every ``*.txt`` in folders ``labels``, in the order of their paths.

    Attributes:
        path: Folder with ``labels`` and ``images`` inside, at any depth, or a folder of label files.
        table: The classes wanted. Numbers in the files stand for the names of ``data.yaml``; without it, for the table's rows.
        image_root: Image folder, which gives the sizes; ``None`` takes ``images`` beside ``labels``, as Ultralytics does.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    image_root: Path | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes of ``data.yaml``."""
        names = read_names(path)
        return None if names is None else number_names(names, thing=True, where=f"the names of {path}")

    @cached_property
    def names(self) -> list[str]:
        """Class name of each number."""
        return read_names(self.path) or list(self.table.names)

    def tasks(self) -> list[Task]:
        """Return one task per label file; the payload is its path, and that of the image.

        Raises:
            FileNotFoundError: If there is none, or nobody knows where the images are.
        """
        root = Path(self.path).absolute()
        files = find_files(root, ".txt")
        found = [path for path in files if "labels" in Path(path).parent.parts] or files
        if not found:
            raise FileNotFoundError(f"no labels below {self.path}: expected *.txt files")
        inside: dict[Path, list[str]] = {}
        for path in found:
            folder = _labels_folder(root / path)
            if folder is None or (self.image_root is not None and not folder.is_relative_to(root)):
                folder = root
            inside.setdefault(folder, []).append((root / path).relative_to(folder).as_posix())
        tasks = []
        for folder, paths in inside.items():
            above = folder.parent.relative_to(root) if folder != root and folder.is_relative_to(root) else Path()
            images = folder.with_name("images") if self.image_root is None else Path(self.image_root) / above
            if self.image_root is None and not images.is_dir():
                advice = f"name the folder of images of {folder} with --images"
                raise FileNotFoundError(f"YOLO's labels are in shares of the image's size, and there is no {images}: {advice}")
            names = image_names((path.removesuffix(".txt") for path in paths), images, ".jpg")
            tasks += [Task((above / name).as_posix(), 0, (folder / path, images / name)) for name, path in zip(names, paths)]
        return tasks

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one label file into an image record."""
        file, picture = task.payload
        report.images_in += 1
        lines: list[tuple[int, str]] = []
        try:
            try:
                lines = [(i, line) for i, line in enumerate(read_text(file).splitlines(), start=1) if line.strip()]
            except (FileNotFoundError, ValueError) as error:
                raise rules.RecordError("label file is unreadable", str(error)) from error
            report.instances_in += len(lines)
            size_hw = rules.check_image(picture.name, None, picture.parent)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"{file}: {error}", instances=len(lines))
            return None
        instances = rules.parse_each(
            lambda line: self._read_line(line[1], size_hw), lines, lambda position, line: f"{file}, line {line[0]}", report
        )
        return rules.build_image(task.name, size_hw, {}, instances, report, picture=picture)

    def _read_line(self, line: str, size_hw: tuple[int, int]) -> InstanceRecord:
        number, *rest = line.split()
        try:
            values = [float(value) for value in rest]
        except ValueError as error:
            raise rules.RecordError("malformed number", f"expected numbers, got {line!r:.60}") from error
        if not number.isdecimal() or int(number) >= len(self.names):
            raise rules.RecordError("no category", f"class {number:.20} is not among the {len(self.names)} names")
        if not all(math.isfinite(value) and -1 <= value <= 2 for value in values):
            raise rules.RecordError("malformed polygon", f"coordinates are shares of the image, 0 to 1, got {line!r:.60}")
        category, ignored = rules.resolve_category(self.names[int(number)], self.table.names)
        entries = {"category_id": self.table.labels[self.table.index(category)].raw_id, "source_id": "", "ignored": ignored}
        if len(values) == 4:
            x, y, width, height = (share * side for share, side in zip(values, size_hw[::-1] * 2))
            return rules.build_instance(entries, (x - width / 2, y - height / 2, width, height), None, size_hw)
        if len(values) < 6 or len(values) % 2:
            raise rules.RecordError("malformed polygon", f"a line has a class and 3 or more points, or a box; got {len(values)} numbers")
        points = np.array(values).reshape(-1, 2) * size_hw[::-1]
        return rules.build_instance(entries, None, counts_from_polygons([points], size_hw), size_hw)


def _labels_folder(path: Path) -> Path | None:
    """Return the last folder ``labels`` above a file, as Ultralytics has it: ``a/labels/b/1.txt`` belongs to ``a/images/b/1.jpg``."""
    return next((folder for folder in path.parents if folder.name == "labels"), None)


@dataclass(frozen=True)
class YoloWriter(Writer):
    """A folder with ``data.yaml``, ``labels/NAME.txt`` and, where images are copied, ``images/NAME``."""

    path: Path
    table: LabelTable = BDD100K_INS8
    holds = frozenset({"objects", "overlaps", "boxes"})
    is_folder = True

    def target(self, name: str) -> str:
        """Return the label file: images that differ only in their suffix have the same one."""
        return f"labels/{PurePosixPath(_inside(name)).with_suffix('.txt').as_posix()}"

    def picture_target(self, name: str) -> str:
        """Return where the image belongs."""
        return f"images/{_inside(name)}"

    def render(self, image: ImageRecord, report: ConversionReport) -> tuple[str, str]:
        """Write the label file; return split and name of the image."""
        # Scores are lost, so that the order has to say which object lies on which.
        instances = [image.instances[position] for position in drawing_order(image.instances)]
        lines = [line for instance in instances for line in self._render_lines(instance, image, report)]
        path = Path(self.path) / self.target(image.name)
        refuse_taken(path)
        write_bytes("".join(lines).encode(), path, durable=False)
        report.images_out += 1
        report.instances_out += len(instances)
        return split_of(image), _inside(image.name)

    def _render_lines(self, instance: InstanceRecord, image: ImageRecord, report: ConversionReport) -> Iterator[str]:
        (height, width), (x, y, w, h) = image.size_hw, instance.bbox
        label = next(label for label in self.table.labels if label.raw_id == instance.category_id)
        if instance.counts is None:
            yield f"{label.train_id} {_share(x + w / 2, width)} {_share(y + h / 2, height)} {_share(w, width)} {_share(h, height)}\n"
            return
        mask = mask_from_counts(instance.counts, image.size_hw)[y : y + h, x : x + w]
        where = f"image '{image.name}', label {instance.source_id or 'without id'}"
        for part in [mask] if label.is_thing and not instance.crowd else _split_parts(mask):
            outline, holes, parts = trace_outline(part)
            for what, count in (("hole reached by a line there and back", holes), ("part reached by a line there and back", parts - 1)):
                if count:
                    report.note(what, f"{where}: {count}")
            yield f"{label.train_id} {' '.join(f'{_share(px + x, width)} {_share(py + y, height)}' for px, py in outline)}\n"

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[tuple[str, str]], None]]:
        """Give the function that takes splits and names, for ``data.yaml``."""
        images: dict[str, list[str]] = {}
        yield lambda rendered: images.setdefault(rendered[0], []).append(rendered[1])
        places = {split: self._place(split, names, alone=len(images) == 1) for split, names in images.items()} or {"train": "images"}
        lines = [f"{split}: {json.dumps(place, ensure_ascii=False)}" for split, place in places.items()]
        stand_in = json.dumps(places.get("train", next(iter(places.values()))), ensure_ascii=False)
        # Ultralytics wants both.
        lines += [f"{split}: {stand_in}  # there are no images of this split" for split in ("train", "val") if split not in places]
        lines += ["names:", *(f"  {i}: {json.dumps(name, ensure_ascii=False)}" for i, name in enumerate(self.table.names))]
        write_text("\n".join(lines) + "\n", Path(self.path) / SETTINGS)

    def _place(self, split: str, names: list[str], *, alone: bool) -> str | list[str]:
        """Return the folders that hold the images of a split and no others, or write a list of its images and return the list's name."""
        found = [split_folder(name) for name in names]
        if all(folder is not None and folder[0] == split for folder in found):
            folders = sorted({f"images/{folder}" for _, folder in found})
            return folders[0] if len(folders) == 1 else folders
        if alone:
            return "images"
        write_text("".join(f"./images/{name}\n" for name in names), Path(self.path) / f"{split}.txt")
        return f"{split}.txt"


def _inside(name: str) -> str:
    """Return a path without folders ``images`` and ``labels``: Ultralytics finds a label by the last ``images`` in its image's path."""
    *folders, last = name.split("/")
    return "/".join([*(folder for folder in folders if folder not in ("images", "labels")), last])


def _split_parts(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the connected parts of a mask; pixels that touch at a corner only are apart."""
    count, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    yield from (numbers == number for number in range(1, count))


def _share(value: float, side: int) -> str:
    """Write a coordinate so that it comes back to a millionth of a pixel."""
    return f"{value / side:.10g}"
