"""The images and labels of each split of a data set that is looked at, and the list files that say what folders do not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmstreet.datasets.folders import read_list
from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.pairs import look_up, split_line
from mmstreet.datasets.picture_folders import ROLES
from mmstreet.datasets.split_lists import find_lists, split_scenes
from mmstreet.files.split_names import SPLITS

Files = list[tuple[str, str | None, str | None]]
"""Name in a list file, path of the image and path of the label of each file; ``None`` where one is missing."""
Lists = dict[str, tuple[str, list[str]]]
"""List file of a split, relative to the description, with the lines to write into it, none if it is there."""


def find_splits(
    root: Path, layout: Layout, out: Path, doubts: list[str], *, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[dict[str, Files], Lists]:
    """Find the files of train, val and test.

    Folders say what a split is, else list files of the data set; where neither names a validation set, one is split off. A split in which
    images or labels have no partner gets a list file of those that have one.

    Args:
        root: The data set's folder.
        layout: Its layout.
        out: The description that is written.
        doubts: Sentences are added here.
        given: Names of the images of each split, if they are known.
    """
    if given:
        everything = {name: (image, label) for name, image, label in _files_of(root, layout, ".")}
        groups: dict[str, Files] = {
            split: [(name, *everything.get(name, (None, None))) for name in names] for split, names in given.items()
        }
        lists: Lists = {}
    else:
        groups, lists = _find(root, layout, out, doubts)
    for split, files in groups.items():
        whole = [name for name, image, label in files if image and label]
        is_incomplete = len(whole) < len(files) and (split != "test" or whole)
        if split not in lists and whole and (given or is_incomplete):
            lists[split] = (f"{out.stem}_splits/{split}.txt", whole)
            if is_incomplete:
                doubts.append(f"{split}: a list file beside this file names the {len(whole)} images that have a label")
    return {split: groups[split] for split in SPLITS if split in groups}, lists


def _find(root: Path, layout: Layout, out: Path, doubts: list[str]) -> tuple[dict[str, Files], Lists]:
    folders = ["."] if layout.flat else layout.splits(root)
    others = [] if layout.flat else [split for split in folders if split not in SPLITS]
    strange = [split for split in others if split.lower() not in ROLES]
    doubts += [f"folder '{split}' is no split that is known (train, val, test) and is left out" for split in strange]
    folders = [split for split in folders if split not in others]
    if folders and folders != ["."]:
        groups = {split: _files_of(root, layout, split) for split in folders}
        has_val = any(label for _, _, label in groups.get("val", ()))
        if "train" in groups and not has_val and sum(bool(label) for _, _, label in groups["train"]) > 1:
            return _split_anew("train", groups, out, doubts)
        return groups, {}
    everything = _files_of(root, layout, ".")
    lists = find_lists(root, (name for name, *_ in everything), layout)
    if "val" in lists or (lists and "train" not in lists):
        groups = {}
        for split, path in lists.items():
            keys = [split_line(line.split()[0], layout, ".") for line in read_list(path)]
            groups[split] = [(name, *pair) for (_, name), pair in zip(keys, look_up(root, layout, keys, labelled=True))]
        return groups, {split: (os.path.relpath(path, out.parent), []) for split, path in lists.items()}
    return _split_anew(".", {".": everything}, out, doubts)


def _split_anew(split: str, groups: dict[str, Files], out: Path, doubts: list[str]) -> tuple[dict[str, Files], Lists]:
    whole = {name: (name, image, label) for name, image, label in groups[split] if image and label}
    rest = [file for file in groups[split] if file[0] not in whole]
    if len(whole) < 2:
        return {"train": groups[split]}, {}
    train, val, how = split_scenes(whole)
    doubts.append(f"there is no split for validation: {how}; the list files beside this file say which")
    found = {"train": [*(whole[name] for name in train), *rest], "val": [whole[name] for name in val]}
    found |= {other: files for other, files in groups.items() if other not in (split, "val")}
    return found, {side: (f"{out.stem}_splits/{side}.txt", list(names)) for side, names in (("train", train), ("val", val))}


def _files_of(root: Path, layout: Layout, split: str) -> Files:
    """Return the files of a split; names of a split's folder begin with it, as a list file has them."""
    images, labels = layout.images(root, split), layout.labels(root, split)
    prefix = "" if split == "." else f"{split}/"
    return [(prefix + name, images.get(name), labels.get(name)) for name in sorted({*images, *labels})]
