"""Draw label maps from outlines, once, so that every command reads them like any others."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from mmstreet.datasets.class_rows import fill_rows
from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.picture_folders import ROLES
from mmstreet.datasets.recognise import Recognised
from mmstreet.datasets.shape_sets import ShapeSet, place_of
from mmstreet.files.atomic import atomic_folder
from mmstreet.files.images import ImageFileError, probe_image, write_image
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.overlaps import resolve_overlaps
from mmstreet.formats.records import ImageRecord
from mmstreet.formats.semantic import SemanticWriter, render_label_map, write_new
from mmstreet.formats.yolo import YoloReader
from mmstreet.label_table import OTHER_GROUP
from mmstreet.labels import BACKGROUND, LabelTable

_IMAGE_SUFFIXES = (".jpg", ".png")


@dataclass(frozen=True)
class _MapWriter(SemanticWriter):
    """Label maps in which pixels of no object are a class of their own, unless ``background`` is None."""

    background: int | None = None

    def render(self, image: ImageRecord, report: ConversionReport) -> None:
        """Write the PNG."""
        labels = render_label_map(image, {label.raw_id: label.raw_id for label in self.table.labels}, report)
        if self.background is not None:
            masks = tuple(x for x in image.instances if x.counts is not None)
            owner, _ = resolve_overlaps(replace(image, instances=masks))
            labels[owner == 0] = self.background
        write_new(labels, Path(self.path) / self.target(image.name))


def draw_maps(
    shapes: ShapeSet, root: str | Path, out: Path, *, workers: int | None = None, overwrite: bool = False
) -> tuple[Recognised, list[str]]:
    """Draw the label maps of a data set of outlines into a folder beside its ``data.yaml``; it appears whole or not at all.

    Args:
        shapes: The data set.
        root: Its folder.
        out: The ``data.yaml``; the maps go to the folder of its name with ``_maps`` behind it.
        workers: Processes; ``None`` takes one per core.
        overwrite: Replace a folder of that name.

    Returns:
        The data set as one of label maps, and what was lost or skipped, in sentences.

    Raises:
        FileExistsError: If there is a folder of that name that is not empty, without ``overwrite``.
        ValueError: If the label files are malformed as a whole.
        OSError: If the disk is full.
    """
    root = Path(root)
    background = _free_id(shapes.table) if shapes.has_background else None
    folder = out.parent / f"{out.stem}_maps"
    places = [place for place, _, _ in shapes.parts]
    patterns = {place_of(place)[0] for place in places}
    split_pattern = next(iter(patterns)) if len(patterns) == 1 and "{split}" in next(iter(patterns)) else None
    doubts, words, lists = [], [], {}
    with atomic_folder(folder, overwrite=overwrite) as temporary:
        for number, (place, role, reader) in enumerate(shapes.parts):
            word = place_of(place)[1] if split_pattern else ""
            words += [word] if word else []
            drawn = Path(temporary) / (word or f".{number}")
            report = convert(reader, _MapWriter(drawn, shapes.table, background=background), workers=workers, progress=False)
            doubts += _doubts(report, reader.path)
            (drawn / "classes.json").unlink()
            if not word:
                lists[role] = _move_into(drawn, Path(temporary))
            if isinstance(reader, YoloReader):
                _fill_in(Path(reader.image_root), Path(temporary, word), background)
    names = list(dict.fromkeys(places))
    suffixes = ("_leftImg8bit.png", "_leftImg8bit.jpg") if names == ["leftImg8bit"] else _IMAGE_SUFFIXES
    maps = os.path.relpath(folder, root)
    layout = Layout(
        "drawn",
        split_pattern or (names[0] if len(names) == 1 else os.path.commonpath(names)) or ".",
        f"{maps}/{{split}}" if split_pattern else maps,
        suffixes,
        "_leftImg8bit.png" if names == ["leftImg8bit"] else ".png",
        folders={ROLES[word.lower()]: word for word in words if ROLES[word.lower()] != word},
        flat=split_pattern is None and names != ["leftImg8bit"],
    )
    rows = [
        {"name": x.name, "id": x.raw_id, **({} if x.group == OTHER_GROUP else {"group": x.group, "thing": x.is_thing})}
        for x in shapes.table.labels
    ]
    if background is not None:
        rows = [{"name": BACKGROUND.name, "id": background, "color": BACKGROUND.color, "group": BACKGROUND.group, "thing": False}, *rows]
    remap = None if shapes.target is None else {"to": shapes.target, "classes": dict(shapes.mapping)}
    lists = lists if len(shapes.parts) > 1 and "" not in lists else None
    title = f"{shapes.title}; label maps are drawn to {folder.name}"
    return Recognised(title, layout, listed=fill_rows(rows, doubts), drawn=True, remap=remap, lists=lists), doubts


def _free_id(table: LabelTable) -> int:
    taken = {label.raw_id for label in table.labels}
    return next(i for i in range(IGNORE_INDEX) if i not in taken)


def _doubts(report: ConversionReport, path: object) -> list[str]:
    found = []
    for counts in (report.skipped_images, report.skipped_instances):
        for reason, count in counts.items():
            found.append(f"{path}: {count} × {reason}, e.g. {report.examples[reason][0]}")
    return found


def _move_into(source: Path, target: Path) -> list[str]:
    """Move label maps to another folder, and return their names without suffix."""
    paths = sorted(source.rglob("*.png"))
    for path in paths:
        goal = target / path.relative_to(source)
        goal.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, goal)
    return [path.relative_to(source).with_suffix("").as_posix() for path in paths]


def _fill_in(images: Path, maps: Path, background: int) -> None:
    """Write maps of background for images that no label file names: nothing is on them."""
    for path in sorted(images.rglob("*")):
        goal = maps / PurePosixPath(path.relative_to(images)).with_suffix(".png")
        if path.suffix.lower() in (".jpg", ".jpeg", ".png") and not path.name.startswith(".") and not goal.exists():
            try:
                probe = probe_image(path)
            except (ImageFileError, OSError):
                continue  # the survey names it as an image without label
            write_image(np.full((probe.height, probe.width), background, np.uint8), goal)
