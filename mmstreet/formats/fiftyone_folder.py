"""FiftyOne's data sets on disk: samples with labels, predictions, scores and attributes, to look through in its app.

``fiftyone.Dataset.from_dir(FOLDER, dataset_type=fiftyone.types.FiftyOneDataset)`` loads the folder. Objects are detections with masks in
``ground_truth`` and ``predictions``; the classes of all pixels are maps in ``ground_truth_map`` and ``predictions_map``, whose ids count
from 1, since FiftyOne does not show 0. Source: the page on this data set type in FiftyOne's documentation; written is the form without a
version, whose fields FiftyOne finds out itself.
"""

from __future__ import annotations

import base64
import contextlib
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from mmstreet.files.atomic import atomic_path, write_json
from mmstreet.files.confusion_scores import compute_scores, drop_background
from mmstreet.files.image_confusions import read_image_confusions
from mmstreet.files.images import write_image
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.rle import mask_from_counts
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.json_stream import compact_json
from mmstreet.formats.pictures import ByEnd, refuse_taken, split_of
from mmstreet.formats.records import FEATURES, ImageRecord, InstanceRecord, Reader, Task, Writer
from mmstreet.formats.semantic import render_label_map
from mmstreet.labels import BDD100K_SEM19, LabelTable


@dataclass(frozen=True)
class FiftyOneWriter(Writer):
    """A folder with ``metadata.json``, ``samples.json``, maps of classes in ``fields`` and, where images are copied, ``data``.

    Attributes:
        path: The folder.
        table: The classes.
        predictions: Predictions of the same images, found by name without ending.
        scores: ``per_image.npz`` of a test, whose scores become fields of the samples.
    """

    path: Path
    table: LabelTable = BDD100K_SEM19
    predictions: Reader | None = None
    scores: Path | None = None
    holds = frozenset(FEATURES)
    is_folder = True

    @cached_property
    def names(self) -> list[str]:
        """The classes of labels and predictions; the id of one in a map is its place here, from 1 on.

        Raises:
            ValueError: If there are more than 254.
        """
        more = () if self.predictions is None else self.predictions.table.names
        names = list(dict.fromkeys((*self.table.names, *more)))
        if len(names) >= IGNORE_INDEX:
            raise ValueError(f"labels and predictions have {len(names)} classes together, a map has room for {IGNORE_INDEX - 1}")
        return names

    def picture_target(self, name: str) -> str:
        """Return where the image belongs."""
        return f"data/{name}"

    def render(self, image: ImageRecord, report: ConversionReport) -> str:
        """Write the maps of classes; return the sample as JSON text."""
        if not isinstance(image.picture, Path) and not (Path(self.path) / self.picture_target(image.name)).exists():
            raise ValueError("FiftyOne shows the images: say where they are with --images FOLDER, or copy them with --copy-images")
        copied = (Path(self.path) / self.picture_target(image.name)).exists()
        sample = {
            "filepath": self.picture_target(image.name) if copied else str(image.picture.resolve()),
            "tags": [split_of(image)],
            "metadata": {"_cls": "ImageMetadata", "width": image.size_hw[1], "height": image.size_hw[0]},
        }
        for name, value in image.attributes.items():
            sample[_field(name)] = {"_cls": "Classification", "label": value} if isinstance(value, str) else value
        sample |= self._render_labels("ground_truth", image, self.table)
        if self.scores is not None:
            names = (self.table if self.predictions is None else self.predictions.table).names
            scores = read_scores(self.scores, names).get(image.name)
            if scores is None:
                report.note("image without scores", f"image '{image.name}'")
            sample |= {_field(name): value for name, value in (scores or {}).items()}
        sample |= self._render_predictions(image, report)
        report.images_out += 1
        report.instances_out += len(image.instances)
        return compact_json(sample)

    def _render_predictions(self, image: ImageRecord, report: ConversionReport) -> dict:
        if self.predictions is None:
            return {}
        task, apart = _find_tasks(self.predictions).get(image.name), ConversionReport()
        found = None if task is None else self.predictions.read(task, apart)
        if found is None or found.size_hw != image.size_hw:
            report.note("image without a prediction", f"image '{image.name}'")
            return {}
        for reason, count in apart.skipped_instances.items():
            report.note(f"prediction left out: {reason}", f"image '{image.name}': {count}")
        return self._render_labels("predictions", found, self.predictions.table)

    def _render_labels(self, name: str, image: ImageRecord, table: LabelTable) -> dict:
        rows = {label.raw_id: label for label in table.labels}
        shown = [x for x in image.instances if rows[x.category_id].is_thing or x.counts is None]  # the rest is in the map
        detections = [_detection(instance, rows[instance.category_id].name, image.size_hw) for instance in shown]
        if all(instance.counts is None for instance in image.instances) and image.instances:
            return {name: {"_cls": "Detections", "detections": detections}}
        labels = render_label_map(image, {x.raw_id: self.names.index(x.name) + 1 for x in table.labels}, ConversionReport())
        labels[labels == IGNORE_INDEX] = 0
        place = f"fields/{name}_map/{_stem(image.name)}.png"
        refuse_taken(Path(self.path) / place)
        write_image(labels, Path(self.path) / place)
        return {
            name: {"_cls": "Detections", "detections": detections},
            f"{name}_map": {"_cls": "Segmentation", "mask_path": place},
        }

    @contextlib.contextmanager
    def open(self) -> Iterator[Callable[[str], None]]:
        """Give the function that adds a sample."""
        targets = {str(i): name for i, name in enumerate(self.names, start=1)}
        names = ["ground_truth", *(["predictions"] if self.predictions is not None else [])]
        info = {"default_classes": self.names, "default_mask_targets": targets}
        write_json({"media_type": "image", "info": info}, Path(self.path) / "metadata.json")
        for name in names:
            (Path(self.path) / f"fields/{name}_map").mkdir(parents=True, exist_ok=True)
        with atomic_path(Path(self.path) / "samples.json") as temporary, open(temporary, "w", encoding="utf-8") as file:
            file.write('{"samples":[')
            separator = "\n"

            def add(sample: str) -> None:
                nonlocal separator
                file.write(separator + sample)
                separator = ",\n"

            yield add
            file.write("]}\n")


def _detection(instance: InstanceRecord, name: str, size_hw: tuple[int, int]) -> dict:
    x, y, width, height = instance.bbox
    box = [x / size_hw[1], y / size_hw[0], width / size_hw[1], height / size_hw[0]]
    row = {"_cls": "Detection", "label": name, "bounding_box": box, "tags": [], "area_px": instance.area}
    row |= {"iscrowd": instance.crowd, **{flag: value for flag, value in instance.flags.items() if flag != "crowd"}}
    row |= {} if instance.score is None else {"confidence": instance.score}
    row |= {"label_id": instance.source_id} if instance.source_id else {}
    if instance.counts is not None:
        mask = mask_from_counts(instance.counts, size_hw)[y : y + height, x : x + width]
        file = io.BytesIO()
        np.save(file, np.ascontiguousarray(mask))
        row["mask"] = {"$binary": {"base64": base64.b64encode(zlib.compress(file.getvalue())).decode(), "subType": "00"}}
    return row


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _field(name: str) -> str:
    """Return a field name of letters, digits and underscores, none of FiftyOne's own."""
    plain = "".join(character if character.isalnum() and character.isascii() else "_" for character in name) or "attribute"
    taken = {"id", "filepath", "tags", "metadata", "created_at", "last_modified_at", "ground_truth", "predictions"}
    return f"attribute_{plain}" if plain in taken or plain[0].isdigit() or plain.startswith("_") else plain


@lru_cache(maxsize=1)
def _find_tasks(reader: Reader) -> ByEnd[Task]:
    return ByEnd({task.name: task for task in reader.tasks()})


@lru_cache(maxsize=1)
def read_scores(path: Path, names: tuple[str, ...]) -> ByEnd[dict[str, float]]:
    """Return the scores of each image of a test.

    Args:
        path: ``per_image.npz`` of ``mmstreet test``.
        names: The model's classes.

    Raises:
        ValueError: If the file is none of these, or of another number of classes.
    """
    try:
        counts = read_image_confusions(path, num_classes=len(names))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    scores = compute_scores(drop_background(counts.confusion), names)
    rows = [{key: float(value[i]) for key, value in scores.items() if np.isfinite(value[i])} for i in range(len(counts.images))]
    return ByEnd(dict(zip(counts.images, rows)))
