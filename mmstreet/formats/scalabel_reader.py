"""Reading Scalabel frames as image records: masks from outlines, from run lengths, or from bitmasks beside the JSON.

A reader is a small picklable object. ``tasks()`` runs in the main process and yields one piece of work per image;
``read(task, report)`` runs in any process and gives the image, or counts why there is none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from PIL import Image

from mmstreet.files.rle import bbox_from_counts, counts_from_runs, parse_rle
from mmstreet.formats.bitmask import decode_bitmask, read_bitmask
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.poly2d import fill_outlines
from mmstreet.formats.records import ImageRecord, InstanceRecord, Task, drop_unknown_categories, record_from_bitmask
from mmstreet.formats.scalabel import Frame, LabelError, ScalabelLabel, frame_name, iter_raw_frames, parse_frame, resolve_category
from mmstreet.labels import BDD100K_INS8, LabelTable

BDD100K_SIZE_HW = (720, 1280)
"""Size of every image of BDD100K."""


class ImageFault(ValueError):
    """An image that cannot be used; ``reason`` is the same short text for all images with this fault."""

    def __init__(self, reason: str, sentence: str):
        super().__init__(sentence)
        self.reason = reason


def check_image(name: str, size_hw: tuple[int, int] | None, image_root: Path | None) -> tuple[int, int] | None:
    """Compare an image's size with its file and return it, ``None`` when neither labels nor file tell.

    Args:
        name: Path below ``image_root``.
        size_hw: Size that the labels give; ``None`` when they give none.
        image_root: Image folder; ``None`` trusts the labels.

    Raises:
        ImageFault: If the file is missing, unreadable or of another size.
    """
    if image_root is None:
        return size_hw
    path = Path(image_root) / name
    if not path.is_file():
        raise ImageFault("image file is missing", f"frame '{name}': no image at {path}")
    try:
        with Image.open(path) as picture:  # reads the header only
            found = picture.size[::-1]
    except (OSError, Image.DecompressionBombError) as error:
        raise ImageFault("image file is unreadable", f"frame '{name}': {path} cannot be read ({error})") from error
    if size_hw not in (None, found):
        sentence = f"frame '{name}': the labels are for {size_hw[1]}×{size_hw[0]} pixels, {path} has {found[1]}×{found[0]}"
        raise ImageFault("image size disagrees with the file", sentence)
    return found


@dataclass(frozen=True)
class ScalabelReader:
    """Frames of a Scalabel JSON file, or of a folder with one JSON file per image.

    Attributes:
        path: JSON file or folder.
        table: The classes wanted; others are counted and left out.
        image_root: Image folder, to check names and sizes; ``None`` trusts the JSON.
        bitmask_root: Folder of bitmasks whose masks, flags and classes replace those of the JSON.
        default_size_hw: Size of images for which neither JSON nor file tells one.
    """

    path: Path
    table: LabelTable = BDD100K_INS8
    image_root: Path | None = None
    bitmask_root: Path | None = None
    default_size_hw: tuple[int, int] = BDD100K_SIZE_HW

    def tasks(self) -> Iterator[Task]:
        """Yield the raw frames in the order of the file.

        Raises:
            ValueError: If a name leads out of the image folder.
        """
        for raw in iter_raw_frames(self.path):
            labels = raw.get("labels")
            yield Task(frame_name(raw), len(labels) if isinstance(labels, list) else 0, raw)

    def read(self, task: Task, report: ConversionReport) -> ImageRecord | None:
        """Turn one raw frame into an image record.

        Raises:
            ValueError: If the frame itself is malformed.
        """
        bad: list[LabelError] = []
        frame = parse_frame(task.payload, on_bad_label=bad.append)
        total = len(frame.labels) + len(bad)
        report.images_in += 1
        report.instances_in += total
        try:
            size_hw = check_image(frame.name, frame.size_hw, self.image_root)
            painted = None
            if self.bitmask_root is not None:
                painted, size_hw = self._read_bitmask(frame.name, size_hw)
        except ImageFault as fault:
            report.skip_image(fault.reason, str(fault), instances=total)
            return None
        if size_hw is None:
            size_hw = self.default_size_hw
            report.note("image size unknown, default taken", f"frame '{frame.name}': taken as {size_hw[1]}×{size_hw[0]} pixels")
        for error in bad:
            report.skip_instance(error.reason, str(error))
        labels = self._resolve(frame, report)
        if painted is None:
            instances = _records_from_labels(frame.name, labels, size_hw, report)
        else:
            # With a label missing, places in the frame are shifted and say nothing.
            matched = match_bitmask(frame.name, labels, painted, report, by_place=not bad)
            instances = drop_unknown_categories(frame.name, matched, self.table, report)
        return ImageRecord(frame.name, size_hw, frame.attributes, tuple(instances))

    def _read_bitmask(self, name: str, size_hw: tuple[int, int] | None) -> tuple[list[InstanceRecord], tuple[int, int]]:
        path = Path(self.bitmask_root) / PurePosixPath(name).with_suffix(".png")
        try:
            rgba = read_bitmask(path)
            painted = [record_from_bitmask(instance) for instance in decode_bitmask(rgba)]
        except (FileNotFoundError, ValueError) as error:
            raise ImageFault("bitmask is missing or unreadable", f"frame '{name}': {error}") from error
        if size_hw not in (None, rgba.shape[:2]):
            sentence = f"frame '{name}': the image has {size_hw[1]}×{size_hw[0]} pixels, {path} has {rgba.shape[1]}×{rgba.shape[0]}"
            raise ImageFault("bitmask size disagrees with the image", sentence)
        return painted, rgba.shape[:2]

    def _resolve(self, frame: Frame, report: ConversionReport) -> list[tuple[ScalabelLabel, int, bool]]:
        """Labels whose class is wanted, with category id and whether they are ignored."""
        found = []
        for label in frame.labels:
            try:
                name, uncertain = resolve_category(label.category, self.table.names)
            except LabelError as error:
                report.skip_instance(error.reason, f"frame '{frame.name}', label {label.id}: {error}")
                continue
            found.append((label, self.table.labels[self.table.index(name)].raw_id, label.ignored or uncertain))
        for label_id, times in Counter(label.id for label, *_ in found if label.id not in ("", "-1")).items():
            if times > 1:
                sentence = f"frame '{frame.name}', label {label_id}: {times} labels have this id"
                report.note("label id stands twice in a frame, all kept", sentence)
        return found


def _records_from_labels(
    frame: str, labels: list[tuple[ScalabelLabel, int, bool]], size_hw: tuple[int, int], report: ConversionReport
) -> list[InstanceRecord]:
    boxes_only = not any(label.rle is not None or label.poly2d for label, *_ in labels)
    if boxes_only and labels:
        report.note("frame has boxes only, written without masks", f"frame '{frame}': {len(labels)} boxes, no masks")
    instances = []
    for label, category_id, ignored in labels:
        try:
            bbox, counts = _geometry(label, size_hw, boxes_only=boxes_only)
        except LabelError as error:
            report.skip_instance(error.reason, f"frame '{frame}', label {label.id}: {error}")
            continue
        flags = {"truncated": label.truncated, "occluded": label.occluded, "crowd": label.crowd, "ignored": ignored}
        instances.append(InstanceRecord(category_id, label.id, bbox, counts, **flags, score=label.score))
    return instances


def _geometry(label: ScalabelLabel, size_hw: tuple[int, int], *, boxes_only: bool) -> tuple:
    """Box, and run lengths or ``None``; the box of a mask is the one around its pixels."""
    if label.rle is not None:
        try:
            counts = parse_rle(label.rle, size_hw)
        except ValueError as error:
            raise LabelError("malformed run-length mask", str(error)) from error
    elif label.poly2d:
        counts = counts_from_runs(fill_outlines([outline.flatten() for outline in label.poly2d], size_hw), size_hw)
    elif label.box2d is None:
        raise LabelError("neither box nor mask", "has neither box2d nor poly2d nor rle")
    elif not boxes_only:
        raise LabelError("box without a mask", "has a box but no mask, while other labels of the frame have masks")
    else:
        counts = None
    bbox = label.box2d.to_coco(size_hw) if counts is None else bbox_from_counts(counts, size_hw[0])
    if not (bbox[2] > 0 and bbox[3] > 0):
        kind = "box" if counts is None else "mask"
        raise LabelError(f"{kind} holds no pixel of the image", f"its {kind} holds no pixel of the {size_hw[1]}×{size_hw[0]} image")
    return bbox, counts


def match_bitmask(
    frame: str,
    labels: list[tuple[ScalabelLabel, int, bool]],
    painted: list[InstanceRecord],
    report: ConversionReport,
    *,
    by_place: bool,
) -> list[InstanceRecord]:
    """Give each instance of a bitmask the id of its label.

    The id in a bitmask is either the label's own or, in the published files, its place among the frame's labels,
    counted from 1. Whichever reading pairs more instances with a label of the same class is taken.

    Args:
        frame: Name, for messages.
        labels: Labels with category id and ignored flag.
        painted: Instances of the bitmask; ``source_id`` is their id there.
        report: Labels without pixels are counted as skipped, instances without a label are kept and noted.
        by_place: Whether places may be tried.
    """
    readings = [[(category_id, label.id) for label, category_id, _ in labels]]
    if by_place:
        readings.append([(category_id, str(place)) for place, (_, category_id, _) in enumerate(labels, start=1)])
    wanted = {(instance.category_id, instance.source_id) for instance in painted}
    names = max(readings, key=lambda reading: len(wanted.intersection(reading)))
    free: dict[tuple[int, str], list[str]] = {}
    for name, (label, *_) in zip(names, labels):
        free.setdefault(name, []).append(label.id)
    instances = []
    for instance in painted:
        ids = free.get((instance.category_id, instance.source_id))
        if ids:
            instances.append(replace(instance, source_id=ids.pop(0)))
        else:
            report.instances_in += 1
            report.note("bitmask instance without a label, kept", f"frame '{frame}': id {instance.source_id} of the bitmask has no label")
            instances.append(instance)
    for label_id in (label_id for ids in free.values() for label_id in ids):
        report.skip_instance("label owns no pixel of the bitmask", f"frame '{frame}', label {label_id}: owns no pixel of the bitmask")
    return instances
