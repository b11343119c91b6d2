"""What every label format has in common: images with their instances, and how readers and writers exchange them.

A new format is one file with a :class:`Reader` and a :class:`Writer`. Both are small picklable objects. ``tasks()`` and ``open()`` run
in the main process, in the order of the images; ``read()`` and ``render()`` do the work and run in any process.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np

from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.labels import LabelTable

FLAGS = ("truncated", "occluded", "crowd", "ignored")
"""The flags of an instance, in the order of the bits 3 to 0 of a bitmask's green channel."""

IMAGE_ATTRIBUTES = ("weather", "scene", "timeofday")
"""What BDD100K says of an image."""

FEATURES = ("objects", "overlaps", "boxes", *FLAGS, "scores", "ids", "attributes")
"""What a format can hold beside the class of each pixel: objects of one class told apart, pixels of several instances, instances without a
mask, the four flags, scores, label ids, attributes of images."""


@dataclass(frozen=True, eq=False)
class InstanceRecord:
    """One instance.

    Attributes:
        category_id: ``raw_id`` in the class table.
        source_id: Id of the label in the file that it came from; empty when it had none.
        bbox: COCO box ``(x, y, width, height)``, inside the image.
        counts: COCO run lengths of the mask, int64; ``None`` when only a box is known.
        truncated: The object leaves the image.
        occluded: Something stands before the object.
        crowd: The mask covers a group.
        ignored: The instance does not count in an evaluation.
        score: Confidence, for predictions.
    """

    category_id: int
    source_id: str
    bbox: tuple[float, float, float, float]
    counts: np.ndarray | None = None
    truncated: bool = False
    occluded: bool = False
    crowd: bool = False
    ignored: bool = False
    score: float | None = None

    @property
    def area(self) -> float:
        """Pixels of the mask, or of the box when there is no mask."""
        return self.bbox[2] * self.bbox[3] if self.counts is None else int(self.counts[1::2].sum())

    @property
    def flags(self) -> dict[str, bool]:
        """The four flags by name."""
        return {flag: getattr(self, flag) for flag in FLAGS}


@dataclass(frozen=True, eq=False)
class ImageRecord:
    """One image.

    Attributes:
        name: Path below the image folder.
        size_hw: Height and width.
        attributes: Weather, scene and time of day, as far as the file tells them.
        instances: The instances.
        source_id: Id of the image in the file that it came from; ``None`` when it had none.
        picture: The image file: its path, or its bytes where the format holds it; ``None`` when nobody knows.
        split: Its split, ``None`` where only a folder in its name may tell.
    """

    name: str
    size_hw: tuple[int, int]
    attributes: dict
    instances: tuple[InstanceRecord, ...]
    source_id: int | str | None = None
    picture: Path | bytes | None = None
    split: str | None = None


class Task(NamedTuple):
    """One image's worth of work: its path below the image folder, how many labels it has, and what the reader needs to read it."""

    name: str
    labels: int
    payload: Any


class Reader(Protocol):
    """Reads the images of ``path``; built as ``Reader(path, table, image_root)``, other settings by name."""

    path: Path
    table: LabelTable
    image_root: Path | None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes that the files themselves name; ``None`` when they name none."""
        return None

    def tasks(self) -> Iterable[Task]:
        """Give one task per image in the order of the file; raise ``ValueError`` if the input is malformed as a whole."""

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Return the image; count in ``report`` what came in and what cannot be used."""


class Writer(Protocol):
    """Writes images to ``path``; built as ``Writer(path, table)``, other settings by name.

    A file appears when the block of ``open()`` ends well. A folder is written under another name, which
    :func:`mmstreet.formats.convert.convert` changes when all is well.

    Attributes:
        path: The file or folder.
        holds: Which of :data:`FEATURES` the format has a place for.
        is_folder: Whether ``path`` is a folder.
    """

    path: Path
    holds: ClassVar[frozenset[str]] = frozenset(FEATURES)
    is_folder: ClassVar[bool] = False

    def target(self, name: str) -> str:
        """Return where an image's labels go, by default its name; of the images with one target only the first is written."""
        return name

    def picture_target(self, name: str) -> str | None:
        """Return where an image's file belongs below ``path``; ``None`` where the format has no place for it or holds it itself."""
        return None

    def render(self, image: ImageRecord, report: ConversionReport) -> Any:
        """Do the work for one image; count in ``report`` what goes out and what cannot be written."""

    def open(self) -> AbstractContextManager[Callable[[Any], None]]:
        """Give the function that takes the rendered images in order."""


def first_of_each(tasks: Iterable[Task], report: ConversionReport, *, target: Callable[[str], str] = str) -> Iterator[Task]:
    """Pass the first task for each target, count the others as duplicates; note targets that differ in capitals or accents' form only."""
    targets: set[str] = set()
    folded: dict[str, str] = {}
    for task in tasks:
        place = target(task.name)
        if place not in targets:
            targets.add(place)
            other = folded.setdefault(unicodedata.normalize("NFC", place.casefold()), place)
            if other != place:
                sentence = f"'{place}' and '{other}' are one file on Windows and macOS; rename one of the images before moving them there"
                report.note("names differ in capitals only", sentence)
            yield task
            continue
        report.images_in += 1
        report.instances_in += task.labels
        sentence = f"image '{task.name}' goes to '{place}' as an image before it does, the first one is kept"
        report.skip_image("duplicate image", sentence, instances=task.labels)


def read_images(reader: Reader, report: ConversionReport) -> Iterator[ImageRecord]:
    """Read the images of a reader one by one in this process; what is not yielded is counted in ``report``."""
    for task in first_of_each(reader.tasks(), report):
        image = reader.read(task, report)
        if image is not None:
            yield image
