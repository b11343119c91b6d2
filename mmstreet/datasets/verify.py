"""Read every file of a data set once, on all cores, and report what is wrong with it and what it holds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mmstreet.datasets.inventory import Inventory, Reading
from mmstreet.datasets.pairs import Pair
from mmstreet.datasets.verify_sums import PairReport, SplitSums, VerifySums
from mmstreet.files.images import SIDEWAYS, ImageFileError, probe_image, read_regular_file
from mmstreet.files.parallel import available_cores, map_chunks
from mmstreet.files.sharing import SharedWork, choose_size, cut_chunks
from mmstreet.formats.label_files import decode_labels
from mmstreet.labels import IGNORE_INDEX, LabelTable, outside_message

_EXACT_IN_FLOAT32 = 1 << 24
_WORTH_A_PROCESS = 200
"""Pairs that take about as long as the start of a process."""


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


def verify(*inventories: Inventory, workers: int | None = None, progress: bool = True) -> dict:
    """Read all pairs of a data set, or of several that are learned as one, and sum up.

    Args:
        inventories: What to read and how; of several, all remapped to the classes of one table.
        workers: Processes, at most; None takes every core that this process may use. A few files are read in this process; more
            processes than one need the caller's main module to be importable, as ``if __name__ == '__main__'`` makes it.
        progress: Show a progress bar.

    Returns:
        Plain data, ready for JSON: ``ok``; ``splits`` with file counts, image sizes, ``pixels`` per class and ``void`` pixels;
        ``classes`` with pixels, per cent of the labelled pixels and number of files per class, over all splits; ``problems``, each
        with ``kind``, ``split``, ``file``, ``message`` and, for an id outside the table, ``label_id``, first ``y`` and ``x``, ``count``.
    """
    items = _items_of(inventories)
    workers = min(workers or available_cores(), 1 + len(items) // _WORTH_A_PROCESS)
    check = partial(check_some, [inventory.reading for inventory in inventories], workers > 1)
    sums = VerifySums()
    with tqdm(total=len(items), unit="pair", disable=None if progress else True) as bar:
        for part, count in map_chunks(check, items, workers=workers):
            sums.add(part)
            bar.update(count)
    return summarize(inventories, sums)


def verify_together(*inventories: Inventory, folder: str | Path, progress: bool = True) -> dict | None:
    """Read the pairs together with the other processes of this process's job, chunk by chunk.

    Args:
        inventories: See :func:`verify`; the same in every process.
        folder: Where the state of the shared work goes.
        progress: Show a progress bar, in the first process.

    Returns:
        The report of :func:`verify` on all pairs, to the bit; ``None`` while other processes are at work on some.
    """
    items = _items_of(inventories)
    readings = [inventory.reading for inventory in inventories]
    names = (f"{number} {pair.split} {pair.image_path} {pair.label_path}" for number, pair in items)
    work = SharedWork(cut_chunks(items, choose_size(len(items))), folder, names=[repr(readings), *names])
    with tqdm(total=len(items), unit="pair", disable=None if progress and work.shard.index == 0 else True) as bar:

        def do(chunk: list[tuple[int, Pair]]) -> dict:
            part, count = check_some(readings, True, chunk)
            bar.update(count)
            return part.to_dict()

        work.run(do)
    if not work.is_complete():
        return None
    sums = VerifySums()
    for part in work.results():
        sums.add(VerifySums.from_dict(part))
    return summarize(inventories, sums)


def _items_of(inventories: Sequence[Inventory]) -> list[tuple[int, Pair]]:
    return [(number, pair) for number, inventory in enumerate(inventories) for pair in inventory.pairs]


def check_some(readings: Sequence[Reading], alone: bool, items: Sequence[tuple[int, Pair]]) -> tuple[VerifySums, int]:
    """Check some pairs.

    Args:
        readings: How the label files of each inventory are read.
        alone: Whether this process has one core; OpenCV then starts no threads.
        items: Pairs with the numbers of their inventories.

    Returns:
        Their sums and their number.
    """
    if alone:
        cv2.setNumThreads(1)
    sums = VerifySums()
    for number, pair in items:
        reading = readings[number]
        report = check_pair(pair, table=reading.table, palette=reading.palette, unlisted=reading.unlisted, orientation=reading.orientation)
        sums.add_pair(report, pair.label_path, reading.lut)
    return sums, len(items)


def summarize(inventories: Sequence[Inventory], sums: VerifySums) -> dict:
    """Make the report of :func:`verify` from the sums over all pairs."""
    splits: dict[str, dict] = {}
    for inventory in inventories:
        for name, count in inventory.images.items():
            split = splits.setdefault(name, dict(images=0, labels=0))
            split["images"] += count
            split["labels"] += inventory.labels[name]
    problems = [dict(kind=x.kind, split=x.split, file=x.path, message=x.message) for inventory in inventories for x in inventory.orphans]
    problems += sums.problems
    table = inventories[0].reading.learned
    if not any(problem["kind"] == "id outside the table" for problem in problems):
        problems += [problem for name, split in sums.splits.items() for problem in _judge_split(name, split, table)]
    problems.sort(key=lambda problem: (problem["kind"], problem["file"], problem.get("label_id", -1)))
    pixels = sum((split.pixels for split in sums.splits.values()), np.zeros(256, np.int64))
    labelled = max(1, int(pixels[: len(table)].sum()))
    for name, split in splits.items():
        part = sums.splits.get(name, SplitSums())
        split["sizes"] = dict(sorted(part.sizes.items(), key=lambda item: (-item[1], item[0])))
        split["pixels"] = part.pixels[: len(table)].tolist()
        split["void"] = int(part.pixels[IGNORE_INDEX])
    return dict(
        ok=not problems,
        source=", ".join(dict.fromkeys(inventory.source for inventory in inventories)),
        table=table.name,
        splits=splits,
        classes=[
            dict(
                id=label.train_id,
                name=label.name,
                color=list(label.color),
                pixels=int(pixels[label.train_id]),
                percent=100 * int(pixels[label.train_id]) / labelled,
                files=int(sums.files_with[label.train_id]),
            )
            for label in table.labels
        ],
        void=int(pixels[IGNORE_INDEX]),
        problems=problems,
    )


def _judge_split(name: str, split: SplitSums, table: LabelTable) -> list[dict]:
    """Find label files that are no label maps, although each of their ids is allowed."""
    present = np.flatnonzero(split.pixels).tolist()
    if split.first is None or present not in ([IGNORE_INDEX], [0, IGNORE_INDEX]) or len(table) < 2:
        return []
    if present == [IGNORE_INDEX]:
        kind, what = "nothing labelled", "not one pixel is of a class"
    else:
        kind, what = "black and white masks", f"there is '{table.names[0]}' (0) and void (255) only, as in masks of one object"
    message = f"{split.first} and all others of '{name}': {what}; give maps that hold the ids of table '{table.name}'"
    return [dict(kind=kind, split=name, file=split.first, message=message)]
