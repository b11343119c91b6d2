"""The data of a ``data.yaml`` as a source of conversions: one image record per image, of the classes that are learned."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from mmstreet.datasets.data_file import DataFile, read_data_file
from mmstreet.datasets.inventory import Reading
from mmstreet.files.split_names import SPLITS
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import ImageRecord, Reader, Task
from mmstreet.formats.rules import RecordError, build_image, check_name
from mmstreet.formats.semantic import read_map, regions_of
from mmstreet.labels import LabelTable


@dataclass(frozen=True)
class DataReader(Reader):
    """Every labelled image of a ``data.yaml``, or of one of its splits, under its path below the data set's folder.

    Of several data sets, each name begins with that of its set. A pixel of a class that is not learned is void.

    Attributes:
        path: The file.
        table: The classes that are learned; see :meth:`find_table`.
        image_root: Not used; the file says where the images are.
        split: ``'train'``, ``'val'`` or ``'test'``; ``None`` takes all.
    """

    path: Path
    table: LabelTable
    image_root: Path | None = None
    split: str | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes that are learned, under ids that count from 0 where they are remapped or joined."""
        data = read_data_file(path)
        return data.table if _is_plain(data) else data.table.with_train_ids()

    def tasks(self) -> list[Task]:
        """Return one task per image; the payload is its path, that of its label, and how that is read.

        Raises:
            FileNotFoundError: If a label or a listed image does not exist.
            ValueError: If the file does not have the split.
        """
        data = read_data_file(self.path)
        if self.split is not None and self.split not in data.splits:
            raise ValueError(f"'{self.path}' has no split '{self.split}'; it has {', '.join(data.splits)}")
        tasks = []
        for part in data.parts:
            target = None if part.mapping is None else data.table
            reading = Reading(part.table, part.layout.palette, part.layout.unlisted, target=target, mapping=part.mapping or {})
            prefix = "" if len(data.parts) == 1 else f"{part.name}/"
            for split in part.splits if self.split is None else [self.split] if self.split in part.splits else []:
                for pair in part.pairs(split, labelled=None if split == SPLITS[2] else True):
                    if pair.label_path is not None:
                        name = prefix + os.path.relpath(pair.image_path, part.root).replace(os.sep, "/")
                        tasks.append(Task(check_name(name), 0, (pair.image_path, pair.label_path, reading, split)))
        return tasks

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one label map into an image record."""
        image_path, label_path, reading, split = task.payload
        report.images_in += 1
        try:
            counted = report if reading.unlisted == "error" else ConversionReport()
            labels = read_map(Path(label_path), reading.table, counted, palette=reading.palette)
        except RecordError as error:
            report.skip_image(error.reason, f"label map '{label_path}': {error}", instances=0)
            return None
        instances = regions_of(labels if reading.lut is None else cv2.LUT(labels, reading.lut), self.table)
        report.instances_in += len(instances)
        return replace(build_image(task.name, labels.shape, {}, instances, report), picture=Path(image_path), split=split)


def _is_plain(data: DataFile) -> bool:
    return len(data.parts) == 1 and data.parts[0].mapping is None
