"""What survives of labels from each format to each other: ``python -m benchmarks.convert_matrix``.

Two small images with everything that labels can say, one of them empty, are written in one format, converted to the other and read back.
What comes out is compared with what went in, so that the table is measured and not claimed.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image

from mmstreet.files.rle import bbox_from_counts, counts_from_mask, mask_from_counts
from mmstreet.formats.catalogue import FORMATS, READERS, WRITERS, get_reader, get_writer
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.records import ImageRecord, InstanceRecord, Task, read_images
from mmstreet.labels import CITYSCAPES19, LabelTable

SIZE_HW = (24, 32)
LETTERS = {
    "P": "the class of every pixel",
    "O": "objects of one class told apart",
    "H": "pixels hidden under other objects, and the order",
    "B": "boxes without a mask",
    "C": "crowds",
    "I": "ignored objects",
    "T": "truncated and occluded",
    "S": "scores",
    "D": "ids of labels",
    "A": "attributes of images",
    "N": "names of images with their endings",
    "E": "images without labels",
}
_ENDINGS = {"scalabel": ".json", "coco": ".json", "cvat": ".zip"}


@dataclass(frozen=True)
class MemoryReader:
    """Images that are in memory."""

    images: tuple[ImageRecord, ...]
    path: Path = Path("memory")
    image_root: Path | None = None

    def tasks(self) -> list[Task]:
        """Return the images."""
        return [Task(image.name, len(image.instances), image) for image in self.images]

    def read(self, task: Task, report: ConversionReport) -> ImageRecord:
        """Count an image and return it."""
        report.images_in += 1
        report.instances_in += task.labels
        return task.payload


def draw_images() -> tuple[ImageRecord, ...]:
    """Return a street with every kind of label, and an image without any."""
    file = io.BytesIO()
    Image.new("RGB", SIZE_HW[::-1], (90, 90, 90)).save(file, "JPEG")
    ids = {label.name: label.raw_id for label in CITYSCAPES19.labels}

    def region(name: str, rows: slice, columns: slice, hole: tuple[slice, slice] | None = None, **told: object) -> InstanceRecord:
        mask = np.zeros(SIZE_HW, bool)
        mask[rows, columns] = True
        if hole is not None:
            mask[hole] = False
        counts = counts_from_mask(mask)
        return InstanceRecord(**{"category_id": ids[name], "bbox": bbox_from_counts(counts, SIZE_HW[0]), "counts": counts, **told})

    whole = slice(None)
    instances = (
        region("sky", slice(0, 8), whole, source_id="3", score=0.9),
        region("road", slice(8, 24), whole, source_id="5", score=0.8),
        region("car", slice(10, 18), slice(2, 12), (slice(12, 14), slice(4, 6)), source_id="17", score=0.95, truncated=True),
        region("car", slice(12, 20), slice(9, 18), source_id="18", score=0.85, occluded=True),
        region("person", slice(9, 10), slice(25, 26), source_id="21", score=0.99),
        region("person", slice(10, 14), slice(20, 24), source_id="22", score=0.97, crowd=True),
        region("bus", slice(15, 22), slice(22, 30), source_id="30", score=0.96, ignored=True),
        InstanceRecord(ids["truck"], "31", (1, 1, 6, 5), score=0.4),
    )
    street = ImageRecord("val/straße 1.jpg", SIZE_HW, {"weather": "rainy"}, instances, picture=file.getvalue())
    return street, ImageRecord("val/leer.jpg", SIZE_HW, {"weather": "clear"}, (), picture=file.getvalue())


def describe(image: ImageRecord, table: LabelTable, classes: Iterable[str]) -> dict:
    """Return what an image says, one comparable value for each of :data:`LETTERS`."""
    names = {label.raw_id: label.name for label in table.labels}
    masks = [(i, mask_from_counts(i.counts, image.size_hw)) for i in image.instances if i.counts is not None]
    owner = np.full(image.size_hw, -1)
    order = sorted(range(len(masks)), key=lambda k: masks[k][0].score) if all(i.score is not None for i, _ in masks) else range(len(masks))
    for number in order:
        owner[masks[number][1]] = number
    ignored = np.zeros(image.size_hw, bool)
    pixels, objects = np.full(image.size_hw, "", object), set()
    for number, (instance, _) in enumerate(masks):
        pixels[owner == number] = names[instance.category_id]
        if names[instance.category_id] in classes:
            objects.add((owner == number).tobytes())
        ignored |= (owner == number) & instance.ignored

    return {
        "P": pixels.tolist(),
        "O": objects,
        "H": sorted(mask.tobytes() for _, mask in masks),
        "B": [tuple(round(side, 6) for side in i.bbox) for i in image.instances if i.counts is None],
        "C": {(owner == number).tobytes() for number, (i, _) in enumerate(masks) if i.crowd},
        "I": ignored.tolist(),
        "T": [{(owner == n).tobytes() for n, (i, _) in enumerate(masks) if getattr(i, key)} for key in ("truncated", "occluded")],
        "S": {i.score for i, _ in masks},
        "D": {i.source_id for i, _ in masks},
        "A": image.attributes,
        "N": image.name,
    }


def write(name: str, reader: object, path: Path) -> Path:
    """Convert to a format, with what it needs."""
    writer = get_writer(name)(path / f"labels{_ENDINGS.get(name, '')}", CITYSCAPES19)
    convert(reader, writer, workers=1, progress=False, copy_images=name == "yolo")
    return writer.path


def open_reader(name: str, path: Path, images: Path) -> object:
    """Return the reader of what was written, with the classes that the files name and the images beside them."""
    reader = get_reader(name)
    own = reader.find_table(path)
    holds_pictures = name in ("parquet", "webdataset", "yolo")
    return reader(path, CITYSCAPES19 if own is None else own, None if holds_pictures else images)


def survivors(source: str, target: str) -> str:
    """Return the letters of what a conversion keeps."""
    before = draw_images()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for image in before:
            (root / "images" / image.name).parent.mkdir(parents=True, exist_ok=True)
            (root / "images" / image.name).write_bytes(image.picture)
        (root / "a").mkdir()
        (root / "b").mkdir()
        first = open_reader(source, write(source, MemoryReader(before), root / "a"), root / "images")
        second = open_reader(target, write(target, Renamed(first), root / "b"), root / "images")
        after = {PurePosixPath(image.name).stem.removesuffix("_leftImg8bit"): image for image in read_images(second, ConversionReport())}
    things = {label.name for label in CITYSCAPES19.labels if label.is_thing}
    wanted = describe(before[0], CITYSCAPES19, things)
    found = describe(after["straße 1"], second.table, things)
    certain = np.array(wanted["I"])  # ignored pixels may be void or keep their class; that is another letter
    for one in (wanted, found):
        one["P"] = np.where(certain, "", np.array(one["P"], object)).tolist()
    kept = [letter for letter in wanted if wanted[letter] == found[letter]]
    return "".join([*kept, *(["E"] if "leer" in after and not after["leer"].instances else [])])


@dataclass(frozen=True)
class Renamed:
    """A reader's images with their categories in the ids of :data:`CITYSCAPES19`, which the writer is given."""

    reader: object

    @property
    def path(self) -> Path:
        """Where the reader reads."""
        return self.reader.path

    @property
    def image_root(self) -> Path | None:
        """The reader's images."""
        return self.reader.image_root

    def tasks(self) -> Iterable[Task]:
        """Return the reader's tasks."""
        return self.reader.tasks()

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Read an image and change its ids."""
        image = self.reader.read(task, report)
        names = {label.raw_id: label.name for label in self.reader.table.labels}
        ids = {label.name: label.raw_id for label in CITYSCAPES19.labels}
        return replace(image, instances=tuple(replace(i, category_id=ids[names[i.category_id]]) for i in image.instances))


def main() -> None:
    """Print the table as Markdown."""
    both = [name for name in FORMATS if name in READERS and name in WRITERS]
    print(f"| from \\ to | {' | '.join(both)} |\n|---|{'---|' * len(both)}")
    for source in both:
        print(f"| **{source}** | {' | '.join(survivors(source, target) for target in both)} |", flush=True)
    print("\n" + "\n".join(f"{letter}: {what}" for letter, what in LETTERS.items()))


if __name__ == "__main__":
    main()
