"""A seeded split of the labelled images into training and validation, kept as list files."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable
from pathlib import Path

from mmstreet.datasets.layouts import LAYOUTS, Layout, detect_layout
from mmstreet.datasets.pairs import require_images
from mmstreet.files.atomic import write_text


def split_names(names: Iterable[str], *, seed: int = 0, train_share: float = 0.8) -> tuple[list[str], list[str]]:
    """Split names into two, the same way on every machine.

    Names are ranked by the SHA-256 of seed and name, and the first ones become the training set: the result depends neither on
    the order in which files are listed nor on the version of a random generator, and a name that is added later moves few others.

    Args:
        names: Distinct names, in any order.
        seed: Another seed gives another split.
        train_share: Share of the training set, within (0, 1); the number of names is rounded.

    Returns:
        Names for training and for validation, each sorted.

    Raises:
        ValueError: If the share is out of range, a name occurs twice, or a side would be empty.
    """
    names = list(names)
    if not 0 < train_share < 1:
        raise ValueError(f"train_share must be within (0, 1), not {train_share}")
    if len(set(names)) != len(names):
        twice = next(name for name in sorted(names) if names.count(name) > 1)
        raise ValueError(f"'{twice}' is there more than once; a split needs distinct names")
    count = round(len(names) * train_share)
    if not 0 < count < len(names):
        raise ValueError(f"{len(names)} images at train_share={train_share} leave one side of the split empty")
    ranked = sorted(names, key=lambda name: rank_name(name, seed))
    return sorted(ranked[:count]), sorted(ranked[count:])


def rank_name(name: str, seed: int) -> bytes:
    """Return what decides the order in which names are drawn: the SHA-256 of seed and name."""
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()


def labelled_names(root: str | Path, layout: Layout) -> list[str]:
    """List the images that have a label, as ``SPLIT/NAME`` without suffix, over every split of the layout.

    Raises:
        FileNotFoundError: If there is none.
    """
    splits = layout.splits(root)
    names = [f"{split}/{name}" for split in splits for name in layout.images(root, split).keys() & layout.labels(root, split).keys()]
    if not names:
        first = splits[0] if splits else "train"
        found = require_images(Path(root), layout, first)
        raise FileNotFoundError(f"none of {len(found)} images of '{first}' has a label in '{layout.label_folder(root, first)}'")
    return sorted(posixpath.normpath(name) for name in names)


def write_split(
    root: str | Path, *, layout: str | None = None, out: str | Path | None = None, seed: int = 0, train_share: float = 0.8
) -> dict[str, tuple[Path, int]]:
    """Split the labelled images of a data root and write one list file for each side.

    BDD100K publishes 8,000 images with semantic labels, 7,000 as train and 1,000 as val; at 80 % they become 6,400 and 1,600.
    Lines are ``SPLIT/NAME``, the folder being the published one, so ``ann_file=`` of the data set finds them.
    Images are assigned one by one: where they are frames of one film, as in CamVid, neighbours land on both sides.

    Args:
        root: Data root.
        layout: Name of a layout; None recognises it.
        out: Folder for ``train.txt`` and ``val.txt``; None takes ``splits`` in the data root.
        seed: See :func:`split_names`.
        train_share: See :func:`split_names`.

    Returns:
        Path and number of names of ``'train'`` and ``'val'``.

    Raises:
        FileExistsError: If a list file is there already with other names.
    """
    found = LAYOUTS[layout] if layout else detect_layout(root)
    sides = dict(zip(("train", "val"), split_names(labelled_names(root, found), seed=seed, train_share=train_share)))
    total = sum(map(len, sides.values()))
    folder = Path(root) / "splits" if out is None else Path(out)
    texts = {}
    for side, names in sides.items():
        header = f"# {len(names)} of {total} labelled images for {side}: train_share={train_share}, seed={seed}"
        texts[folder / f"{side}.txt"] = "\n".join([header, *names]) + "\n"
    for path, text in texts.items():
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise FileExistsError(f"'{path}' is another split; delete it or choose another folder")
    for path, text in texts.items():
        write_text(text, path)
    return {side: (folder / f"{side}.txt", len(names)) for side, names in sides.items()}
