"""What ``mmstreet predict`` left in a folder, as labels: objects with their scores, or the regions of label maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmstreet.files.walk import find_files
from mmstreet.formats import rules
from mmstreet.formats.class_lists import number_names
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import load_json
from mmstreet.formats.records import ImageRecord, InstanceRecord, Reader, Task
from mmstreet.formats.semantic import read_map, regions_of
from mmstreet.labels import BDD100K_SEM19, LabelTable, get_table

SETTINGS, RECORDS, LABELS = "run.json", "records", "labels"


@dataclass(frozen=True)
class PredictionReader(Reader):
    """The images of a folder of predictions; videos are counted and left out.

    Attributes:
        path: The folder, with ``run.json`` and ``records``.
        table: The classes wanted; the model's are matched by name.
        image_root: Image folder; ``None`` takes the images that were predicted from where they were.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    image_root: Path | None = None

    @staticmethod
    def find_table(path: Path) -> LabelTable | None:
        """Return the classes of the model, with their train ids as ids."""
        settings = load_json(Path(path) / SETTINGS)
        if not isinstance(settings, dict) or not isinstance(settings.get("classes"), list):
            raise ValueError(f"{Path(path) / SETTINGS} names no classes; is this a folder of mmstreet predict?")
        where = f"the classes of {Path(path) / SETTINGS}"
        if settings.get("label_rows"):
            return get_table(settings["label_rows"], name=where).with_train_ids()
        return number_names(settings["classes"], thing=False, where=where)

    def tasks(self) -> Iterator[Task]:
        """Yield one task per record, its path below ``records`` and the model's classes as the payload.

        Raises:
            FileNotFoundError: If there is none.
        """
        records = Path(self.path) / RECORDS
        found = find_files(records, ".json")
        if not found:
            raise FileNotFoundError(f"no predictions below {records}: expected the records that mmstreet predict writes")
        own = self.find_table(self.path)
        for path in found:
            yield Task(path.removesuffix(".json"), 0, (path, own))

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one record, or the label map that it belongs to, into an image record."""
        path, own = task.payload
        report.images_in += 1
        rows: list = []
        try:
            record = _read_record(Path(self.path) / RECORDS / path)
            size_hw = tuple(record["size_hw"])
            source = Path(record["source"])
            name = task.name + source.suffix
            rules.check_image(name, size_hw, self.image_root)
            if isinstance(record.get("instances"), list):
                rows = record["instances"]
            else:
                labels = read_map(Path(self.path) / LABELS / f"{task.name}.png", own, report)
                if labels.shape != size_hw:
                    raise rules.RecordError("label map has another size", f"{labels.shape}, the record says {size_hw}")
                rows = regions_of(labels, own)
        except rules.RecordError as error:
            report.skip_image(error.reason, f"{self.path}: '{task.name}': {error}", instances=0)
            return None
        report.instances_in += len(rows)
        instances = rules.parse_each(
            lambda row: self._read_instance(row, own, size_hw), rows, lambda position, _: f"{self.path}: '{task.name}', {position}", report
        )
        picture = None if self.image_root is not None or not source.is_file() else source
        return rules.build_image(name, size_hw, {}, instances, report, picture=picture)

    def _read_instance(self, row: Any, own: LabelTable, size_hw: tuple[int, int]) -> InstanceRecord:
        if isinstance(row, InstanceRecord):
            name, entries, counts = own.labels[row.category_id].name, {"crowd": row.crowd}, row.counts
        elif not isinstance(row, dict):
            raise rules.RecordError("malformed label", f"an object must be a JSON object, got {type(row).__name__}")
        else:
            name, entries = row.get("class"), {"score": rules.parse_number("score", row.get("score"))}
            counts = rules.read_run_lengths(row.get("mask"), size_hw)
        category, ignored = rules.resolve_category(name, self.table.names)
        raw_id = self.table.labels[self.table.index(category)].raw_id
        return rules.build_instance({"category_id": raw_id, "source_id": "", "ignored": ignored, **entries}, None, counts, size_hw)


def _read_record(path: Path) -> dict:
    """Read the record of an image.

    Raises:
        RecordError: If it is damaged, says that the prediction failed, or belongs to a video.
    """
    try:
        record = load_json(path)
    except ValueError as error:
        raise rules.RecordError("record is unreadable", str(error)) from error
    if isinstance(record, dict) and "error" in record:
        raise rules.RecordError("prediction failed", str(record["error"]))
    if isinstance(record, dict) and record.get("video"):
        raise rules.RecordError("video", "videos are not converted, only images")
    try:
        rules.parse_size(dict(zip(("height", "width"), record["size_hw"])))
        if not isinstance(record["source"], str):
            raise ValueError("source must be a path")
    except (KeyError, TypeError, ValueError) as error:
        raise rules.RecordError("record is malformed", f"expected size_hw and source ({error!r:.100})") from error
    return record
