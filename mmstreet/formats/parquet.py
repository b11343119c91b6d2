"""Parquet files with the columns ``image`` and ``label``, both pictures, as Hugging Face's ``datasets`` writes and reads them.

``image`` is the image file as it is, ``label`` a PNG of train ids, 255 where a pixel has no class. The features stand in the files'
metadata, so that ``datasets.load_dataset(FOLDER)`` gives two columns of pictures; the classes stand there, too.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from mmstreet.deps import require
from mmstreet.files.walk import find_files
from mmstreet.formats import rules
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.pictures import image_size, picture_bytes, split_of
from mmstreet.formats.records import ImageRecord, Reader, Task, Writer
from mmstreet.formats.semantic import encode_map, read_map, regions_of, render_label_map
from mmstreet.labels import BDD100K_SEM19, LabelTable, get_table

COLUMNS = (("image", "pixel_values"), ("label", "annotation", "mask", "labels"))
"""Names that data sets on the hub have for the image and for its label map; the first that is there is taken."""
ROWS = 64
"""Images of a row group, which is read and written at once, unless they have :data:`GROUP_BYTES` before."""
GROUP_BYTES = 32 << 20
MAX_BYTES = 400 << 20
"""Bytes after which another file begins."""
_CLASSES = b"mmstreet"
_FEATURES = {b"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": {"_type": "Image"}}}}).encode()}


def parquet_files(path: str | Path) -> list[Path]:
    """Return the files at a path in the order of their names.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = Path(path)
    found = [path / name for name in find_files(path, ".parquet")] if path.is_dir() else [path]
    if not found or not path.exists():
        raise FileNotFoundError(f"no *.parquet files at {path}")
    return found


@contextlib.contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    arrow = require("pyarrow", extra="parquet")
    try:
        yield
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is no whole parquet file ({error!s:.200}); fetch or write it again") from error


def _open(path: Path) -> Any:
    parquet = require("pyarrow.parquet", extra="parquet")
    with _named_errors(path):
        return parquet.ParquetFile(path)


@dataclass(frozen=True)
class ParquetReader(Reader):
    """The rows of parquet files with an ``image`` and a ``label``.

    Attributes:
        path: A file, or a folder of files.
        table: The classes; label maps hold its train ids.
        image_root: Not needed, the images are in the files.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    image_root: Path | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes in the metadata of the first file."""
        first = parquet_files(path)[0]
        rows = (_open(first).schema_arrow.metadata or {}).get(_CLASSES)
        return None if rows is None else get_table(json.loads(rows), name=f"the classes of {first}")

    def tasks(self) -> Iterator[Task]:
        """Yield one task per row; the payload is the file, the row group and the row in it.

        Raises:
            ValueError: If a file is damaged or has other columns.
        """
        number = 0
        for path in parquet_files(self.path):
            file = _open(path)
            columns = file.schema_arrow.names
            image, label = (next((name for name in known if name in columns), None) for known in COLUMNS)
            if image is None or label is None:
                raise ValueError(f"{path} has the columns {', '.join(columns)}; expected 'image' and 'label'")
            for group in range(file.num_row_groups):
                with _named_errors(path):
                    names = file.read_row_group(group, columns=[f"{image}.path"]).column(image).to_pylist()
                for row, cell in enumerate(names):
                    name = (cell or {}).get("path") or f"{number:08d}.png"
                    try:
                        yield Task(rules.check_name(name), 0, (path.as_posix(), group, row, image, label))
                    except ValueError as error:
                        raise ValueError(f"{path}, row {row} of group {group}: {error}") from error
                    number += 1

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one row into an image record."""
        path, group, row, *columns = task.payload
        where = f"{path}, row {row} of group {group} ('{task.name}')"
        report.images_in += 1
        try:
            cells = _read_group(path, group, tuple(columns), os.stat(path).st_mtime_ns)[row]
            if not all(isinstance(cells[name], dict) for name in columns):
                raise rules.RecordError("row without the bytes of image or label", "expected pictures, as datasets.Image stores them")
            picture, label = (cells[name].get("bytes") for name in columns)
            if picture is None or label is None:
                raise rules.RecordError("row without the bytes of image or label", "expected both pictures with their bytes")
            labels = read_map(label, self.table.with_train_ids(), report, where=where)
            found = image_size(picture)
            if found != labels.shape:
                sentence = f"the label has {labels.shape[1]}×{labels.shape[0]} pixels, the image {found and f'{found[1]}×{found[0]}'}"
                raise rules.RecordError("image size disagrees with the label", sentence)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"{where}: {error}", instances=0)
            return None
        instances = regions_of(labels, self.table)
        report.instances_in += len(instances)
        return rules.build_image(task.name, labels.shape, {}, instances, report, picture=picture)


@lru_cache(maxsize=1)
def _read_group(path: str, group: int, columns: tuple[str, str], _changed: int) -> list[dict]:
    """Read a row group, which is kept, since its rows are asked for one after the other."""
    with _named_errors(Path(path)):
        return _open(Path(path)).read_row_group(group, columns=list(columns)).to_pylist()


@dataclass(frozen=True)
class ParquetWriter(Writer):
    """A folder ``data`` of files ``SPLIT-00000-of-00001.parquet``, as data sets on the Hugging Face hub have; images are needed.

    Images whose split is not known are in ``train``.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    holds = frozenset[str]()
    is_folder = True

    def render(self, image: ImageRecord, report: ConversionReport) -> tuple[str, str, bytes, bytes] | None:
        """Return split, name, image file and label file."""
        picture = picture_bytes(image, where="a parquet file")
        labels = render_label_map(image, {label.raw_id: label.train_id for label in self.table.labels}, report)
        return split_of(image), image.name, picture, encode_map(labels)

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[tuple[str, str, bytes, bytes]], None]]:
        """Give the function that adds a row."""
        arrow, parquet = require("pyarrow", extra="parquet"), require("pyarrow.parquet", extra="parquet")
        cell = arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])
        classes = json.dumps(self.table.with_train_ids().rows).encode()
        schema = arrow.schema([("image", cell), ("label", cell)], {**_FEATURES, _CLASSES: classes})
        folder = Path(self.path) / "data"
        folder.mkdir(parents=True, exist_ok=True)
        waiting: dict[str, list[dict]] = {}
        sizes: Counter[str] = Counter()  # bytes that wait, by split
        files: dict[str, list[Path]] = {}
        writers: dict[str, list] = {}  # the open file of each split and the bytes in it

        def flush(split: str) -> None:
            if split not in writers:
                path = folder / f"{split}-{len(files.setdefault(split, [])):05d}.parquet"
                files[split].append(path)
                writers[split] = [parquet.ParquetWriter(path, schema, compression="none"), 0]
            writers[split][0].write_table(arrow.Table.from_pylist(waiting.pop(split, []), schema))
            writers[split][1] += sizes.pop(split, 0)
            if writers[split][1] >= MAX_BYTES:
                writers.pop(split)[0].close()

        def add(rendered: tuple[str, str, bytes, bytes]) -> None:
            split, name, picture, label = rendered
            label_name = PurePosixPath(name).with_suffix(".png").as_posix()
            row = {"image": {"bytes": picture, "path": name}, "label": {"bytes": label, "path": label_name}}
            waiting.setdefault(split, []).append(row)
            sizes[split] += len(picture) + len(label)
            if len(waiting[split]) >= ROWS or sizes[split] >= GROUP_BYTES:
                flush(split)

        try:
            yield add
            for split in list(waiting) or ([] if files else ["train"]):
                flush(split)
        finally:
            for writer, _ in writers.values():
                writer.close()
        for split, paths in files.items():
            for number, path in enumerate(paths):
                path.rename(folder / f"{split}-{number:05d}-of-{len(paths):05d}.parquet")
