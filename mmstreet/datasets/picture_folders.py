"""Which of the picture folders below a root are images and which are their label maps, by what the files are and how they are called."""

from __future__ import annotations

import bisect
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmstreet.datasets.label_survey import survey_file
from mmstreet.datasets.layouts import Layout
from mmstreet.files.images import PICTURE_NAME, ImageFileError
from mmstreet.formats.label_files import LabelFileError

ROLES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Words for a split in folder names, and the split."""
_ANY_ROLE = "|".join(sorted(ROLES, key=len, reverse=True))
_WORD = re.compile(
    rf"(?P<before>|.*[_\-. ])(?P<word>{_ANY_ROLE})(?P<after>\d*|[_\-. ].*|annot|images?|imgs?|labels?|masks?)", re.IGNORECASE
)
_LABEL_WORDS = re.compile(r"label|mask|seg|annot|(^|[_\-./])gt|class|_L$", re.IGNORECASE)
_IMAGE_WORDS = re.compile(r"image|img|photo|raw|rgb|jpeg|picture|frame", re.IGNORECASE)
_OTHER_WORDS = re.compile(
    r"instance|object|colou?r|depth|panoptic|dispar|overlay|preview|vis(ual|$|[_/])|edge|confidence|predict", re.IGNORECASE
)
_TOKEN = re.compile(r"(?:[_\-][A-Za-z][A-Za-z0-9]*)+$")
_MANY_VALUES = 64
"""More values than that in one channel are a grey photograph's."""
_SAMPLE = 20


@dataclass
class _Group:
    """Files of one folder that are called alike: parts of its path, word of its split, ending, names without ending, what they are."""

    parts: tuple[str, ...]
    word: str
    extension: str
    stems: list[str]
    label_like: float
    image_like: float


def pair_folders(root: str | Path) -> Layout | None:
    """Find the folders of images and of label maps that belong together.

    PNG files of few values are label maps, everything else is an image; names such as ``masks`` and ``_labelIds`` speak for labels,
    ``instance`` and ``color`` against. A split is a word such as ``train`` or ``validation`` in a folder's name.

    Args:
        root: The data set's folder.

    Returns:
        The layout whose pairs are most, or ``None`` if there is no pair.
    """
    groups = list(_groups(Path(root)))
    votes: Counter = Counter()
    words: dict[tuple, set[str]] = defaultdict(set)
    for image in groups:
        for label in groups:
            if image is label or image.word.lower() != label.word.lower() or not (image.image_like and label.label_like):
                continue
            found = _match(image, label)
            if found:
                (image_end, label_end), matched = found
                key = (*_cut_tail(image.parts, label.parts), image_end + image.extension, label_end + label.extension)
                votes[key] += matched * image.image_like * label.label_like
                words[key] |= {image.word} - {""}
    if not votes:
        return None
    (image_dir, label_dir, image_suffix, label_suffix), _ = votes.most_common(1)[0]
    alike = [key for key in votes if key[:2] == (image_dir, label_dir) and key[3] == label_suffix]
    suffixes = tuple(dict.fromkeys([image_suffix, *(key[2] for key in alike if votes[key] > 0)]))
    folders = {ROLES[word.lower()]: word for key in alike for word in sorted(words[key])}
    return Layout(
        "folders",
        image_dir,
        label_dir,
        suffixes,
        label_suffix,
        folders={split: word for split, word in folders.items() if split != word},
        flat=not folders,
    )


def _groups(root: Path) -> Iterator[_Group]:
    for directory, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        by_end: dict[str, list[str]] = defaultdict(list)
        for name in names:
            if PICTURE_NAME.search(name) and not name.startswith("."):
                stem, extension = os.path.splitext(name)
                by_end[extension].append(stem)
        if not by_end:
            continue
        parts, word = split_word(Path(directory).relative_to(root).parts)
        for extension, stems in by_end.items():
            for some in _by_token(stems):
                likes = _judge(directory, sorted(some), extension)
                yield _Group(parts, word, extension, sorted(some), *likes)


def _by_token(stems: list[str]) -> list[list[str]]:
    """Part names such as ``a`` and ``a_mask``; names of which nearly each ends in words of its own stay together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for stem in stems:
        found = _TOKEN.search(stem)
        groups[found[0] if found else ""].append(stem)
    return list(groups.values()) if len(groups) <= max(1, min(6, len(stems) // 2)) else [stems]


def split_word(parts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Return the parts of a path with the first word of a split as ``{split}``, and that word, nothing if there is none."""
    for i, part in enumerate(parts):
        found = _WORD.fullmatch(part)
        if found:
            return (*parts[:i], f"{found['before']}{{split}}{found['after']}", *parts[i + 1 :]), found["word"]
    return tuple(parts), ""


def _judge(directory: str, stems: list[str], extension: str) -> tuple[float, float]:
    """How much files look like label maps, and how much like images."""
    place = "/".join((*Path(directory).parts[-3:], _TOKEN.search(stems[0])[0] if _TOKEN.search(stems[0]) else ""))
    named_label, named_image, other = (bool(x.search(place)) for x in (_LABEL_WORDS, _IMAGE_WORDS, _OTHER_WORDS))
    is_photo, kind = True, "rgb"
    if extension.lower() == ".png":
        for stem in {stems[0], stems[len(stems) // 2], stems[-1]}:
            try:
                found = survey_file(os.path.join(directory, stem + extension))
            except LabelFileError as error:
                if "16 bits" in str(error) or "alpha" in str(error):
                    other = True
                continue
            except (ImageFileError, OSError):
                continue
            kind = next(iter(found.kinds))
            is_photo = kind == "ids" and len(found.ids) > _MANY_VALUES
    label_like = 0.0 if is_photo else (0.5 + named_label) * (1.2 if kind != "rgb" else 1.0) * (0.15 if other else 1.0)
    image_like = (
        (2.0 if is_photo else 0.5 if kind == "rgb" else 0.1) * (0.3 if named_label and not named_image else 1.0) * (1 + named_image)
    )
    return label_like, image_like * (0.15 if other else 1.0)


def _match(image: _Group, label: _Group) -> tuple[tuple[str, str], int] | None:
    """Find which ends of the names differ between an image and its label, and how many pairs that makes."""
    ends: Counter = Counter()
    for stem in label.stems[:: max(1, len(label.stems) // _SAMPLE)]:
        place = bisect.bisect_left(image.stems, stem)
        for other in image.stems[max(0, place - 1) : place + 2]:
            common = _common_start(stem, other)
            rests = other[len(common) :], stem[len(common) :]
            if common and not any(rest[:1].isdigit() for rest in rests):
                ends[rests] += 1
    images, best = set(image.stems), None
    for image_end, label_end in [pair for pair, _ in ends.most_common(3)]:
        bare = [stem[: len(stem) - len(label_end)] for stem in label.stems if stem.endswith(label_end)]
        matched = sum(stem + image_end in images for stem in bare)
        if matched > (best[1] if best else 0):
            best = (image_end, label_end), matched
    return best if best and best[1] >= 0.3 * min(len(images), len(label.stems)) else None


def _common_start(one: str, other: str) -> str:
    length = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    return one[:length]


def _cut_tail(image: tuple[str, ...], label: tuple[str, ...]) -> tuple[str, str]:
    """Return the two places without the folders at their end that are the same, which belong to the names; a split stays."""
    if image == label:
        return "/".join(image) or ".", "/".join(label) or "."
    image, label = list(image), list(label)
    while len(image) > 1 and len(label) > 1 and image[-1] == label[-1] and "{split}" not in image[-1]:
        image.pop(), label.pop()
    while image and label and image[-1] == label[-1] == "{split}":  # the split is the folder inside anyway
        image.pop(), label.pop()
    return "/".join(image) or ".", "/".join(label) or "."
