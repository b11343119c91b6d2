"""WebDataset's tar files: the files of one sample follow each other and have one name up to the first dot.

A sample is ``KEY.jpg``, the image file as it is; ``KEY.label.png``, train ids, 255 where a pixel has no class; and ``KEY.json``, a frame
of Scalabel JSON with every label. KEY is the path of the image without its ending; dots of the file name become ``%2E``. Where there is a
frame it is read; otherwise the label map, a PNG of any other ending. Source: the page on the format in WebDataset's documentation.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mmstreet.files.images import PICTURE_NAME
from mmstreet.files.tar_members import Member, address_of, index_tar, read_member, shard_paths
from mmstreet.formats import rules
from mmstreet.formats.class_lists import read_class_list, write_class_list
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.pictures import image_size, picture_bytes, split_of
from mmstreet.formats.records import FEATURES, ImageRecord, Reader, Task, Writer
from mmstreet.formats.scalabel import ScalabelReader, ScalabelWriter
from mmstreet.formats.semantic import encode_map, read_map, regions_of, render_label_map
from mmstreet.labels import BDD100K_SEM19, LabelTable

MAX_BYTES = 256 << 20
"""Bytes after which another archive begins."""
LABEL = "label.png"


def pick_members(key: str, members: Mapping[str, Member], shard: Path) -> tuple[Member, Member | None, Member | None]:
    """Return the image, the label map and the frame of a sample; the last two may be missing.

    Raises:
        ValueError: If there is no image, or several that could be it.
    """
    pngs = sorted(ending for ending in members if ending.endswith("png") and ending != "png")
    label = LABEL if LABEL in members else pngs[0] if len(pngs) == 1 else None
    pictures = [ending for ending in members if ending not in pngs and PICTURE_NAME.search(f".{ending}")]
    if label is None and len(pictures) == 2 and "png" in pictures:  # KEY.jpg and KEY.png: the second one is the label map
        label = "png"
        pictures.remove("png")
    if len(pictures) != 1:
        raise ValueError(f"{shard}: sample '{key}' has {', '.join(members)}; expected one image, one label map .{LABEL} and a .json")
    return members[pictures[0]], None if label is None else members[label], members.get("json")


@dataclass(frozen=True)
class ShardReader(Reader):
    """The samples of WebDataset's tar files, in the order of the files.

    Attributes:
        path: A ``.tar`` file, or a folder of them.
        table: The classes; label maps hold its train ids.
        image_root: Not needed, the images are in the files.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    image_root: Path | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes in ``classes.json``."""
        return read_class_list(path if Path(path).is_dir() else Path(path).parent)

    def tasks(self) -> Iterator[Task]:
        """Yield one task per sample; the payload is the archive and the members.

        Raises:
            ValueError: If an archive is damaged or a sample has no image.
        """
        for shard in shard_paths(self.path):
            for key, members in index_tar(shard).items():
                image, label, frame = pick_members(key, members, shard)
                name = key.replace("%2E", ".") + PurePosixPath(image.name).suffix
                try:
                    yield Task(rules.check_name(name), 0, (shard, image, label, frame))
                except ValueError as error:
                    raise ValueError(f"{shard}: sample '{key}': {error}") from error

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one sample into an image record."""
        shard, image, label, frame = task.payload
        where = f"{shard}: sample '{task.name}'"
        picture = read_member(address_of(shard, image))
        if frame is not None:
            try:
                raw = json.loads(read_member(address_of(shard, frame)))
                if not isinstance(raw, dict) or not isinstance(raw.get("labels") or [], list):
                    raise ValueError("a frame must be an object with a list of labels")
            except (ValueError, RecursionError) as error:
                report.images_in += 1
                report.skip_image("frame is unreadable", f"{where}: {error}", instances=0)
                return None
            if {"name", "attributes", "labels"} <= raw.keys():
                raw["size"] = raw.get("size") or dict(zip(("height", "width"), image_size(picture) or (0, 0)))
                name = raw["name"] if isinstance(raw.get("name"), str) else task.name
                record = ScalabelReader(shard, self.table).read(Task(name, len(raw["labels"] or []), raw), report)
                return None if record is None else replace(record, picture=picture)
        report.images_in += 1
        try:
            if label is None:
                raise rules.RecordError("sample without labels", f"expected .{LABEL} or .json")
            labels = read_map(read_member(address_of(shard, label)), self.table.with_train_ids(), report, where=f"{shard}:{label.name}")
            if image_size(picture) != labels.shape:
                raise rules.RecordError("image size disagrees with the label", f"label {labels.shape}, image {image_size(picture)}")
        except rules.RecordError as error:
            report.skip_image(error.reason, f"{where}: {error}", instances=0)
            return None
        instances = regions_of(labels, self.table)
        report.instances_in += len(instances)
        return rules.build_image(task.name, labels.shape, {}, instances, report, picture=picture)


@dataclass(frozen=True)
class ShardWriter(Writer):
    """A folder of ``SPLIT-000000.tar`` …, and ``classes.json``; images are needed.

    Images whose split is not known are in ``train``. The same images give the same bytes.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    holds = frozenset(FEATURES)
    is_folder = True

    def target(self, name: str) -> str:
        """Return the key of the sample: images that differ only in their suffix have the same one."""
        path = PurePosixPath(name)
        return path.with_name(path.stem.replace(".", "%2E")).as_posix()

    def render(self, image: ImageRecord, report: ConversionReport) -> tuple[str, dict[str, bytes]]:
        """Return the split and the files of the sample by name."""
        picture, key = picture_bytes(image, where="a tar file of WebDataset"), self.target(image.name)
        counted = ConversionReport()  # the frame holds everything, whatever the label map leaves out
        labels = render_label_map(image, {label.raw_id: label.train_id for label in self.table.labels}, counted)
        frame = ScalabelWriter(self.path, self.table).render(image, report)
        suffix = PurePosixPath(image.name).suffix.lower()
        return split_of(image), {f"{key}{suffix}": picture, f"{key}.{LABEL}": encode_map(labels), f"{key}.json": frame.encode()}

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[tuple[str, dict[str, bytes]]], None]]:
        """Give the function that adds a sample."""
        Path(self.path).mkdir(parents=True, exist_ok=True)
        write_class_list(self.table.with_train_ids(), self.path)
        archives: dict[str, tarfile.TarFile] = {}
        numbers: dict[str, int] = {}

        def add(rendered: tuple[str, dict[str, bytes]]) -> None:
            split, files = rendered
            if split in archives and archives[split].offset > MAX_BYTES:
                archives.pop(split).close()
            if split not in archives:
                numbers[split] = numbers.get(split, -1) + 1
                path = Path(self.path) / f"{split}-{numbers[split]:06d}.tar"
                archives[split] = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed below
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archives[split].addfile(info, io.BytesIO(data))

        try:
            yield add
        finally:
            for archive in archives.values():
                archive.close()
