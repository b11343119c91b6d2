"""Images with their labels: the pairs of a split, or those that a list file names."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mmstreet.datasets.folders import describe_folder, describe_missing
from mmstreet.datasets.layouts import Layout, strip_suffix
from mmstreet.files.split_names import SPLITS


@dataclass(frozen=True)
class Pair:
    """One image and its label; ``label_path`` is None in a split that is published without labels. ``name`` has no suffix."""

    split: str
    image_path: str
    label_path: str | None
    name: str = ""


def list_pairs(
    root: str | Path, layout: Layout, split: str, names: Iterable[str] | None = None, *, labelled: bool | None = None
) -> list[Pair]:
    """List the images of a split with their labels, sorted by name or in the order of ``names``.

    Args:
        root: Data root.
        layout: Folder scheme below the root.
        split: Split, e.g. ``'train'``.
        names: Lines of a list file: ``NAME`` in this split or ``SPLIT/NAME``, with the suffix of image or label, or none. None takes
            every image.
        labelled: Whether each image needs a label; ``False`` looks for none. None needs them, but not in a ``'test'`` split without a
            folder of labels.

    Raises:
        FileNotFoundError: If there is no image, or an image that is listed or a label does not exist.
    """
    root = Path(root)
    if labelled is None:
        labelled = split != "test" or bool(layout.label_folders(root, split))
    if names is None:
        keys = [(split, name) for name in require_images(root, layout, split)]
    else:
        keys = [split_line(line, layout, split) for line in names]
    pairs = look_up(root, layout, keys, labelled=labelled)
    for side, need in ((0, "images are listed"), (1, "images need a label"))[: 1 + labelled]:
        missing = [key for pair, key in zip(pairs, keys) if pair[side] is None]
        if missing:
            wanted = layout.expected(root, *missing[0])[side]
            raise FileNotFoundError(
                f"{len(keys)} {need}, but {len(missing)} of the files do not exist, first '{wanted}': "
                f"{describe_missing(wanted, missing[0][1])}; 'mmstreet verify' lists all"
            )
    return [Pair(split, image, label, name) for (image, label), (_, name) in zip(pairs, keys)]


def look_up(root: Path, layout: Layout, keys: list[tuple[str, str]], *, labelled: bool) -> list[tuple[str | None, str | None]]:
    """Return the paths of image and label of each ``(split, name)``, ``None`` where there is no file."""
    splits = dict.fromkeys(split for split, _ in keys)
    images = {split: layout.images(root, split) for split in splits}
    labels = {split: layout.labels(root, split) if labelled else {} for split in splits}
    return [(images[split].get(name), labels[split].get(name)) for split, name in keys]


def require_images(root: Path, layout: Layout, split: str) -> dict[str, str]:
    """Return the images of a split.

    Raises:
        FileNotFoundError: If there is none; the message says which folder was searched and what is there.
    """
    images = layout.images(root, split)
    if not images:
        folder = layout.image_folder(root, split)
        raise FileNotFoundError(
            f"no image {' or '.join(repr('*' + suffix) for suffix in layout.image_suffixes)} in '{folder}': {describe_folder(folder)}"
        )
    return images


def split_line(line: str, layout: Layout, split: str) -> tuple[str, str]:
    """Return split and name of a line of a list file."""
    line = strip_suffix(posixpath.normpath(line), (*layout.image_suffixes, layout.label_suffix))
    for base in (layout.image_dir, layout.label_dir):
        if "{split}" not in base:
            line = line.removeprefix(f"{base}/")
    first, slash, rest = line.partition("/")
    return (first, rest) if slash and first in (*SPLITS, split) else (split, line)
