"""Read every file of a data set once, on all cores, and report what is wrong with it and what it holds."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from mmstreet.datasets.inventory import Inventory
from mmstreet.datasets.pairs import Pair
from mmstreet.files.images import SIDEWAYS, ImageFileError, probe_image, read_regular_file
from mmstreet.formats.label_files import decode_labels
from mmstreet.labels import IGNORE_INDEX, LabelTable, outside_message

_EXACT_IN_FLOAT32 = 1 << 24
_WORTH_A_PROCESS = 200
"""Pairs that take about as long as the start of a process."""


class PairReport(NamedTuple):
    """What one pair of files holds: pixels per train id (255 is void), sizes (h, w) or None where unreadable, and problems."""

    split: str
    counts: np.ndarray | None
    image_hw: tuple[int, int] | None
    problems: list[dict]


def check_pair(
    pair: Pair, *, table: LabelTable, palette: str = "color", unlisted: str = "error", orientation: str = "stored"
) -> PairReport:
    """Read one image and its label to the end.

    Args:
        pair: The two files; without a label only the image is read.
        table: Class table of the label file.
        palette: See :func:`mmstreet.formats.label_files.read_labels`.
        unlisted: Whether an id that the table does not have is an ``'error'``, or void (``'ignore'``).
        orientation: Whether images are loaded as ``'stored'``, or turned as their tags say (``'exif'``).

    Returns:
        The report; nothing that is wrong with a file raises.
    """
    problems: list[dict] = []

    def note(kind: str, path: str, message: str, **more: int) -> None:
        problems.append(dict(kind=kind, split=pair.split, file=path, message=message, **more))

    image_hw = counts = None
    try:
        height, width, tag = probe_image(pair.image_path)
        image_hw = (width, height) if orientation == "exif" and tag in SIDEWAYS else (height, width)
        if tag != 1:
            note("orientation tag", pair.image_path, _orientation_message(pair.image_path, tag, orientation))
    except (ImageFileError, OSError) as error:
        note("unreadable image", pair.image_path, str(error))
    if pair.label_path is None:
        return PairReport(pair.split, None, image_hw, problems)
    try:
        labels, outside = decode_labels(read_regular_file(pair.label_path), table, path=pair.label_path, palette=palette)
    except (ImageFileError, OSError) as error:
        note("unreadable label", pair.label_path, str(error))
        return PairReport(pair.split, None, image_hw, problems)
    if unlisted == "error":
        for found in outside:
            place = dict(y=found.y, x=found.x, count=found.count)
            message = outside_message(table, found.label_id, path=pair.label_path, **place)
            note("id outside the table", pair.label_path, message, label_id=found.label_id, **place)
    if image_hw is not None and image_hw != labels.shape:
        sizes = f"{labels.shape[1]}x{labels.shape[0]}, but its image is {image_hw[1]}x{image_hw[0]}"
        note("wrong size", pair.label_path, f"label file {pair.label_path} is {sizes}; labels must have the image's size")
    counts = count_ids(labels)
    return PairReport(pair.split, counts, image_hw, problems)


def _orientation_message(path: str, tag: int, orientation: str) -> str:
    read = "this data set's loader turns it too" if orientation == "exif" else "this data set's loader reads it as stored"
    return (
        f"{path} has orientation tag {tag}: viewers turn it, {read}; look whether its label shows the same picture, then turn the "
        "pixels and remove the tag"
    )


def count_ids(labels: np.ndarray) -> np.ndarray:
    """Count the pixels of each id.

    Args:
        labels: uint8 ``[H, W]``.

    Returns:
        int64 ``[256]``.
    """
    if labels.size > _EXACT_IN_FLOAT32:  # OpenCV counts in float32
        return np.bincount(labels.ravel(), minlength=256)
    return cv2.calcHist([labels], [0], None, [256], [0, 256]).ravel().astype(np.int64)


def verify(inventory: Inventory, *, workers: int | None = None, progress: bool = True) -> dict:
    """Read all pairs of an inventory and sum up.

    Args:
        inventory: What to read and how.
        workers: Processes, at most; None takes every core that this process may use. A few files are read in this process; more
            processes than one need the caller's main module to be importable, as ``if __name__ == '__main__'`` makes it.
        progress: Show a progress bar.

    Returns:
        Plain data, ready for JSON: ``ok``; ``splits`` with file counts, image sizes, ``pixels`` per class and ``void`` pixels;
        ``classes`` with pixels, per cent of the labelled pixels and number of files per class, over all splits; ``problems``, each
        with ``kind``, ``split``, ``file``, ``message`` and, for an id outside the table, ``label_id``, first ``y`` and ``x``, ``count``.
    """
    table = inventory.table
    splits = {
        name: dict(images=count, labels=inventory.labels[name], sizes=Counter(), pixels=np.zeros(256, np.int64))
        for name, count in inventory.images.items()
    }
    files_with = np.zeros(256, np.int64)
    problems = [dict(kind=x.kind, split=x.split, file=x.path, message=x.message) for x in inventory.orphans]
    reading = {key: getattr(inventory, key) for key in ("table", "palette", "unlisted", "orientation")}
    check = partial(check_pair, **reading)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(workers or cores, 1 + len(inventory.pairs) // _WORTH_A_PROCESS)
    for report in tqdm(_map(check, inventory.pairs, workers), total=len(inventory.pairs), unit="pair", disable=not progress):
        problems += report.problems
        if report.image_hw is not None:
            splits[report.split]["sizes"]["{1}x{0}".format(*report.image_hw)] += 1
        if report.counts is not None:
            splits[report.split]["pixels"] += report.counts
            files_with += report.counts > 0
    if not any(problem["kind"] == "id outside the table" for problem in problems):
        problems += [problem for name, split in splits.items() for problem in _judge_split(name, split, inventory)]
    problems.sort(key=lambda problem: (problem["kind"], problem["file"], problem.get("label_id", -1)))
    return _summary(inventory, table, splits, files_with, problems)


def _judge_split(name: str, split: dict, inventory: Inventory) -> list[dict]:
    """Find label files that are no label maps, although each of their ids is allowed."""
    path = next((pair.label_path for pair in inventory.pairs if pair.split == name and pair.label_path), None)
    present = np.flatnonzero(split["pixels"]).tolist()
    if path is None or present not in ([IGNORE_INDEX], [0, IGNORE_INDEX]) or len(inventory.table) < 2:
        return []
    if present == [IGNORE_INDEX]:
        kind, what = "nothing labelled", "not one pixel is of a class"
    else:
        kind, what = "black and white masks", f"there is '{inventory.table.names[0]}' (0) and void (255) only, as in masks of one object"
    message = f"{path} and all others of '{name}': {what}; give maps that hold the ids of table '{inventory.table.name}'"
    return [dict(kind=kind, split=name, file=path, message=message)]


def _summary(inventory: Inventory, table: LabelTable, splits: dict, files_with: np.ndarray, problems: list[dict]) -> dict:
    pixels = sum(split["pixels"] for split in splits.values())
    labelled = max(1, int(pixels[: len(table)].sum()))
    for split in splits.values():
        split["sizes"] = dict(split["sizes"].most_common())
        split["void"] = int(split["pixels"][IGNORE_INDEX])
        split["pixels"] = split["pixels"][: len(table)].tolist()
    return dict(
        ok=not problems,
        source=inventory.source,
        table=table.name,
        splits=splits,
        classes=[
            dict(
                id=label.train_id,
                name=label.name,
                color=list(label.color),
                pixels=int(pixels[label.train_id]),
                percent=100 * int(pixels[label.train_id]) / labelled,
                files=int(files_with[label.train_id]),
            )
            for label in table.labels
        ],
        void=int(pixels[IGNORE_INDEX]),
        problems=problems,
    )


def _map(check, pairs: Iterable[Pair], workers: int) -> Iterator[PairReport]:
    """Check pairs in any order. Fresh processes, because forked ones could inherit a lock of torch or OpenCV in a held state."""
    if workers == 1:
        yield from map(check, pairs)
        return
    with multiprocessing.get_context("spawn").Pool(workers, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.imap_unordered(check, pairs, chunksize=8)
