"""Where each data set keeps its images and labels, and what to say when they are not there."""

from __future__ import annotations

import difflib
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """One folder scheme.

    ``image_dir`` and ``label_dir`` lie below the data root and hold one folder per split; a file's label has the same
    path there, with ``label_suffix`` in the place of ``image_suffix``. ``table`` is the class table of the ids on disk.
    ``unlisted_ids`` says what an id outside that table is: an ``'error'``, or one to ``'ignore'``.
    """

    name: str
    image_dir: str
    label_dir: str
    image_suffix: str
    label_suffix: str
    table: str
    unlisted_ids: str = "error"


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("bdd100k_10k", "images/10k", "labels/sem_seg/masks", ".jpg", ".png", "bdd100k_sem19"),
        Layout("bdd100k_2018", "seg/images", "seg/labels", ".jpg", "_train_id.png", "bdd100k_sem19"),
        Layout("cityscapes", "leftImg8bit", "gtFine", "_leftImg8bit.png", "_gtFine_labelIds.png", "cityscapes19", "ignore"),
        Layout("camvid11", "images", "labels", ".jpg", ".png", "camvid11"),
        Layout("wilddash2", "images", "labels", ".jpg", ".png", "wilddash25", "ignore"),
    )
}
"""Known layouts. A data root is tried against them in this order, so the general ``images``/``labels`` comes last; one of two alike has
to be named."""

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Pair:
    """One image and the place of its label; ``label_path`` is None in a split that is published without labels."""

    split: str
    image_path: str
    label_path: str | None


def detect_layout(root: str | Path) -> Layout:
    """Find the layout whose folders exist below ``root``.

    Raises:
        FileNotFoundError: If none fits; the message lists what was looked for and what is there.
    """
    root = Path(root)
    for layout in LAYOUTS.values():
        if (root / layout.image_dir).is_dir() and (root / layout.label_dir).is_dir():
            return layout
    wanted = "; ".join(f"{x.name}: {x.image_dir} and {x.label_dir}" for x in LAYOUTS.values())
    raise FileNotFoundError(f"'{root}' has the folders of no known layout ({wanted}); {describe_folder(root)}")


def list_files(folder: str | Path, suffix: str) -> list[str]:
    """List the files below ``folder`` that end in ``suffix``, as sorted ``/``-separated paths relative to it without the suffix."""
    found = []
    for directory, _, names in os.walk(folder, followlinks=True):
        inside = os.path.relpath(directory, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        found += [prefix + name[: -len(suffix)] for name in names if name.endswith(suffix)]
    return sorted(found)


def name_pairs(root: str | Path, layout: Layout, split: str, names: Iterable[str]) -> list[Pair]:
    """Turn the lines of a list file into paths, without looking whether the files exist.

    Args:
        root: Data root.
        layout: Folder scheme below the root.
        split: Folder of the names that do not say one.
        names: ``NAME`` or ``SPLIT/NAME``, each with the suffix of image or label, or none.
    """
    return [_pair(Path(root), layout, split, _stem(line, layout, split)) for line in names]


def list_pairs(root: str | Path, layout: Layout, split: str, names: Iterable[str] | None = None) -> list[Pair]:
    """List the images of a split with the place of their labels, sorted by name or in the order of ``names``.

    Args:
        root: Data root.
        layout: Folder scheme below the root.
        split: Folder name, e.g. ``'train'``. Only ``'test'`` may be without labels.
        names: Lines of a list file, see :func:`name_pairs`; None takes every image.

    Raises:
        FileNotFoundError: If there is no image, or an image that is listed or a label does not exist.
    """
    root = Path(root)
    stems = _image_stems(root, layout, split, names)
    pairs = [_pair(root, layout, split, stem) for stem in stems]
    if split == "test" and not (root / layout.label_dir / split).is_dir():
        return [Pair(pair.split, pair.image_path, None) for pair in pairs]
    _require_all(root / layout.label_dir, stems, layout.label_suffix, "images need a label")
    return pairs


def list_images(root: str | Path, layout: Layout, split: str, names: Iterable[str] | None = None) -> list[str]:
    """List the image paths of a split as :func:`list_pairs` does, whether there are labels or not.

    Raises:
        FileNotFoundError: If there is no image, or an image that is listed does not exist.
    """
    stems = _image_stems(Path(root), layout, split, names)
    return [_pair(Path(root), layout, split, stem).image_path for stem in stems]


def read_list(path: str | Path) -> list[str]:
    """Read a list file: one name per line; blank lines and lines that begin with ``#`` do not count.

    Raises:
        FileNotFoundError: If there is no such file; the message says what its folder holds.
        ValueError: If it holds no name.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"list file '{path}' does not exist; {describe_folder(path.parent, wanted=path.name)}")
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ValueError(f"list file '{path}' holds no name; write one image name per line")
    return names


def no_images_message(folder: Path, suffix: str) -> str:
    """Say which folder was searched for which suffix, and what is there instead."""
    return f"no image '*{suffix}' in '{folder}': {describe_folder(folder)}"


def describe_folder(folder: str | Path, *, wanted: str | None = None) -> str:
    """Describe what a folder holds; for a folder that does not exist, the nearest one above it and the likeliest name there.

    Args:
        folder: The folder that was searched.
        wanted: Name that was looked for inside it, for the suggestion of a near match.
    """
    folder, missing = Path(folder), False
    while not folder.is_dir() and folder != folder.parent:
        folder, wanted, missing = folder.parent, folder.name, True
    entries = sorted(os.scandir(folder), key=lambda e: e.name)
    folders = [e.name for e in entries if e.is_dir()]
    suffixes = Counter(Path(e.name).suffix or "(no suffix)" for e in entries if not e.is_dir())
    holds = [f"folder{'s' * (len(folders) > 1)} {', '.join(folders[:8])}{', …' * (len(folders) > 8)}"] if folders else []
    holds += [f"{count} file{'s' * (count > 1)} '{suffix}'" for suffix, count in suffixes.most_common(5)]
    text = f"'{folder}' holds {' and '.join(holds) or 'nothing'}"
    if missing:
        text = f"there is no folder '{wanted}'; {text}"
    near = difflib.get_close_matches(wanted or "", [e.name for e in entries], n=1)
    return f"{text}; did you mean '{near[0]}'?" if near else text


def _image_stems(root: Path, layout: Layout, split: str, names: Iterable[str] | None) -> list[str]:
    images = root / layout.image_dir
    if names is not None:
        stems = [_stem(line, layout, split) for line in names]
        _require_all(images, stems, layout.image_suffix, "images are listed")
        return stems
    stems = [f"{split}/{stem}" for stem in list_files(images / split, layout.image_suffix)]
    if not stems:
        raise FileNotFoundError(no_images_message(images / split, layout.image_suffix))
    return stems


def _pair(root: Path, layout: Layout, split: str, stem: str) -> Pair:
    image, label = (root / layout.image_dir / (stem + layout.image_suffix), root / layout.label_dir / (stem + layout.label_suffix))
    return Pair(split, str(image), str(label))


def _stem(line: str, layout: Layout, split: str) -> str:
    for suffix in (layout.image_suffix, layout.label_suffix):
        if line.endswith(suffix):
            line = line[: -len(suffix)]
            break
    return line if line.split("/")[0] in (*SPLITS, split) else f"{split}/{line}"


def _require_all(folder: Path, stems: list[str], suffix: str, need: str) -> None:
    splits = {stem.split("/")[0] for stem in stems}
    present = {f"{split}/{stem}" for split in splits for stem in list_files(folder / split, suffix)}
    missing = [stem for stem in stems if stem not in present]
    if missing:
        example = folder / (missing[0] + suffix)
        raise FileNotFoundError(
            f"{len(stems)} {need}, but {len(missing)} of the files do not exist, first '{example}': "
            f"{describe_folder(example.parent, wanted=example.name)}; mmstreet verify lists all"
        )
