"""What there is to predict: images and videos behind a path, a folder or a pattern, each with a name for its results."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmstreet.datasets.data_file import is_data_file, read_data_file
from mmstreet.datasets.folders import read_list
from mmstreet.files.images import PICTURE_NAME

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_RESULT_SUFFIXES = (".png", ".jpg", ".json", ".jsonl", ".npz", ".mp4", ".zip")


@dataclass(frozen=True, slots=True)
class Source:
    """One file.

    Attributes:
        path: The file.
        name: Name of its results, without suffix: its path below the common folder, with ``/`` between the parts.
        is_video: Whether it is a video.
        camera: Number of the camera that it is instead of a file.
    """

    path: Path
    name: str
    is_video: bool
    camera: int | None = None


def camera_source(source: str | Path) -> Source | None:
    """Return the camera that a number means, ``None`` for anything else; a file or a folder of that name goes first.

    Example:
        >>> camera_source("0").name, camera_source("0.jpg")
        ('camera_0', None)
    """
    text = str(source)
    if not text.isdecimal() or Path(text).exists():
        return None
    return Source(Path(f"camera {int(text)}"), f"camera_{int(text)}", True, int(text))


def find_sources(source: str | Path, *, split: str | None = None) -> list[Source]:
    """List the images and videos of a source, sorted by path, the same on every machine that sees the same files.

    Pictures in a form that is not read (``.gif``, ``.heic``) are left out with a warning.

    Args:
        source: An image or a video; a folder, which is searched to its depth; a glob pattern, where ``**`` means any depth; a list, a
            ``.txt`` file of paths, absolute or relative to its folder; or a ``data.yaml``.
        split: Of a ``data.yaml``, which images: ``'train'``, ``'val'`` or ``'test'``; ``None`` takes those of the test, else of validation.

    Returns:
        The files, each with a name of its own, also where upper and lower case are the same: where two would share results, the suffix
        becomes part of their names, and where that is not enough, a hash of the path.

    Raises:
        FileNotFoundError: If there is nothing, or nothing of a known kind, or a listed file does not exist; the message says what there is.
        ValueError: If a single file is of no known kind, the source is an address, or a split is named of what has none.
    """
    refuse_address(source, "files are not fetched: download it and give its path")
    path = Path(source)
    if is_data_file(path):
        files = _images_of(path, split)
        roots = {part.root for part in read_data_file(path).parts}
        return _name(files, _root_of(files, next(iter(roots)) if len(roots) == 1 else None))
    if split is not None:
        raise ValueError(f"'{source}' has no split '{split}'; only a data.yaml has splits")
    if path.is_file() and path.suffix.lower() == ".txt":
        files = _listed(path)
        return _name(files, _root_of(files, path.parent))
    if path.is_file():
        if not _is_known(path):
            raise ValueError(f"'{path}' is neither an image ({', '.join(IMAGE_SUFFIXES)}) nor a video ({', '.join(VIDEO_SUFFIXES)})")
        return _name([path], path.parent)
    if path.is_dir():
        root, files = path, [x for x in path.rglob("*") if x.is_file()]
    else:
        files = [Path(x) for x in glob.glob(str(source), recursive=True) if Path(x).is_file()]
        if not files:
            what = "matches no file" if glob.has_magic(str(source)) else "does not exist"
            raise FileNotFoundError(f"'{source}' {what}; give an image, a folder, a pattern in quotes or a video")
        root = None
    files = [x for x in files if not x.name.startswith(".")]
    known = sorted(x for x in files if _is_known(x))
    if not known:
        endings = ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in Counter(x.suffix for x in files).most_common(4))
        raise FileNotFoundError(f"'{source}' has no image and no video ({endings or 'it is empty'}); known are {', '.join(IMAGE_SUFFIXES)}")
    _name_unread([x for x in files if PICTURE_NAME.search(x.name) and not _is_known(x)])
    return _name(known, root)


def _root_of(files: Sequence[Path], root: Path | None) -> Path | None:
    """Return a folder if all files are below it, so that a part of them gets the names that all would get."""
    return root if root is not None and all(file.is_relative_to(root) for file in files) else None


def _listed(path: Path) -> list[Path]:
    files = [Path(os.path.normpath(path.parent / line)) for line in read_list(path)]
    missing = [file for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(f"list '{path}' names {len(files)} files, and {len(missing)} of them do not exist, first '{missing[0]}'")
    strange = [file for file in files if not _is_known(file)]
    if strange:
        raise ValueError(f"list '{path}' names '{strange[0]}', which is neither an image nor a video")
    return sorted(set(files))


def _images_of(path: Path, split: str | None) -> list[Path]:
    data = read_data_file(path)
    split = split or next((name for name in ("test", "val") if name in data.splits), data.splits[0])
    if split not in data.splits:
        raise ValueError(f"'{path}' has no split '{split}'; it has {', '.join(data.splits)}")
    pairs = [pair for part in data.parts if split in part.splits for pair in part.pairs(split, labelled=False)]
    return sorted({Path(pair.image_path) for pair in pairs})


def _name_unread(pictures: Sequence[Path]) -> None:
    if pictures:
        forms = ", ".join(sorted({x.suffix.lower() for x in pictures}))
        advice = f"first '{min(pictures)}'; convert them to PNG or JPEG"
        logging.getLogger("mmstreet").warning("left out: %d pictures in a form that is not read (%s), %s", len(pictures), forms, advice)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)


def _common_folder(files: Sequence[Path]) -> Path:
    folder = files[0].parent
    while not all(file.is_relative_to(folder) for file in files):
        folder = folder.parent
    return folder


def _name(files: Sequence[Path], root: Path | None) -> list[Source]:
    """Name the results of files: by their paths without suffix; where results would collide, with suffix; where still, with a hash."""
    root = _common_folder(files) if root is None else root

    def hash_of(file: Path) -> str:
        return hashlib.sha256(file.relative_to(root).as_posix().encode("utf-8", "surrogateescape")).hexdigest()[:8]

    names = [(file.relative_to(root).parent / result_stem(file)).as_posix() for file in files]
    for ending_of in (lambda file: file.suffix[1:].lower(), hash_of):
        for i in _colliding(names):
            names[i] += f"_{ending_of(files[i])}"
    return [Source(file, name, _is_video(file)) for file, name in zip(files, names)]


def result_stem(path: Path) -> str:
    """Return a file's name without suffix, safe as the name of a folder: one of dots alone would be the folder above.

    Example:
        >>> result_stem(Path("a/b.jpg")), result_stem(Path("...mp4"))
        ('b', '__')
    """
    stem = path.name[: -len(path.suffix)] if path.suffix else path.name
    return stem if stem.strip(". ") else stem.replace(".", "_").replace(" ", "_")


def _colliding(names: Sequence[str]) -> set[int]:
    """Return the positions of names that no file system may tell apart, or whose results lie in the way of a folder of others."""
    keys = [unicodedata.normalize("NFC", name).casefold() for name in names]
    counts = Counter(keys)
    direct = [PurePosixPath(folder) for folder in {key.rpartition("/")[0] for key in keys}]
    folders = {parent.as_posix() for folder in direct for parent in (folder, *folder.parents)}
    cut_off = {folder.removesuffix(ending) for folder in folders for ending in _RESULT_SUFFIXES if folder.endswith(ending)}
    return {i for i, key in enumerate(keys) if counts[key] > 1 or key in cut_off}


def refuse_address(place: str | Path, advice: str) -> None:
    """Refuse a URL where a file or a folder is expected; as a path it would lose a slash and become a folder of that name.

    Raises:
        ValueError: If it is one.
    """
    if "://" in str(place):
        raise ValueError(f"'{place}' is an address; {advice}")
