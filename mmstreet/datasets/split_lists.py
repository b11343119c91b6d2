"""Which images are for training and which for validation: list files that a data set has, folders, or a split of one's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from mmstreet.datasets.folders import read_list
from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.picture_folders import ROLES
from mmstreet.datasets.splits import rank_name, split_names

VAL_SHARE = 0.2
_LIST_PLACES = ("ImageSets/Segmentation", "ImageSets/Main", "ImageSets", "splits", "lists", ".")


def find_lists(root: Path, names: Iterable[str], layout: Layout) -> dict[str, Path]:
    """Find the list files of a data set, such as VOC's ``ImageSets/Segmentation/train.txt``.

    Args:
        root: The data set's folder.
        names: Names of its images; a list of other names is none.
        layout: Its layout.

    Returns:
        The file of each of ``train``, ``val`` and ``test``; a single list of another name, as CVAT's ``default.txt``, splits nothing.
    """
    names = set(names)
    short = {name.rpartition("/")[2] for name in names}
    for place in _LIST_PLACES:
        found = {}
        for path in sorted((root / place).glob("*.txt")):
            role = ROLES.get(path.stem.lower())
            if role and role not in found:
                lines = read_list(path)
                stems = [re.sub(r"\.\w{3,4}$", "", line.split()[0].rpartition("/")[2]) for line in lines[:50]]
                if sum(stem in short or stem in names for stem in stems) > len(stems) / 2:
                    found[role] = path
        if found:
            return found
    return {}


def split_scenes(names: Iterable[str], *, seed: int = 0) -> tuple[list[str], list[str], str]:
    """Split names into training and validation, a fifth for the latter, and say how.

    Frames of a film that stood on both sides would make validation too easy. Names that begin alike and end in numbers are taken for a
    film: whole films go to one side, and of a single film the last fifth is kept for validation.

    Args:
        names: Distinct names, two or more.
        seed: Another seed gives another split.

    Returns:
        Names for training, names for validation, and a sentence.
    """
    films: dict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        films[re.sub(r"\d+$", "", name)].append(name)
    total = sum(map(len, films.values()))
    if not films or len(films) > total / 5:
        train, val = split_names([name for some in films.values() for name in some], seed=seed, train_share=1 - VAL_SHARE)
        return train, val, f"validation is a fifth of the images, drawn by chance (seed {seed})"
    if len(films) == 1:
        (frames,) = films.values()
        cut = min(len(frames) - 1, round(len(frames) * (1 - VAL_SHARE)))
        return frames[:cut], frames[cut:], "the names look like frames of one film: its last fifth is for validation"
    order = sorted(films, key=lambda film: rank_name(film, seed))
    chosen: list[str] = []
    count = 0
    for film in order:
        if len(chosen) < len(films) - 1 and abs(count + len(films[film]) - VAL_SHARE * total) < abs(count - VAL_SHARE * total):
            chosen.append(film)
            count += len(films[film])
    train = sorted(name for film, some in films.items() if film not in chosen for name in some)
    val = sorted(name for film in chosen for name in films[film])
    return train, val, f"the names look like frames of {len(films)} films: validation is {' and '.join(repr(film) for film in chosen)}"
