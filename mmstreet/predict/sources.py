"""What there is to predict: images and videos behind a path, a folder or a pattern, each with a name for its results."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2")
VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes:
        path: The file.
        name: Name of its results, without suffix: its path below the common folder, with ``/`` between the parts.
        is_video: Whether it is a video.
    """

    path: Path
    name: str
    is_video: bool


def find_sources(source: str | Path) -> list[Source]:
    """List the images and videos of a source, sorted by path, the same on every machine that sees the same files.

    Args:
        source: An image or a video; a folder, which is searched to its depth; or a glob pattern, where ``**`` means any depth.

    Returns:
        The files, each with a name of its own: where two differ only in the suffix, the suffix becomes part of the names.

    Raises:
        FileNotFoundError: If there is nothing, or nothing of a known kind; the message says what there is.
        ValueError: If a single file is of no known kind.
    """
    path = Path(source)
    if path.is_file():
        if not _is_known(path):
            raise ValueError(f"'{path}' is neither an image ({', '.join(IMAGE_SUFFIXES)}) nor a video ({', '.join(VIDEO_SUFFIXES)})")
        return [Source(path, path.stem, _is_video(path))]
    if path.is_dir():
        root, files = path, [x for x in path.rglob("*") if x.is_file()]
    else:
        files = [Path(x) for x in glob.glob(str(source), recursive=True) if Path(x).is_file()]
        if not files:
            what = "matches no file" if glob.has_magic(str(source)) else "does not exist"
            raise FileNotFoundError(f"'{source}' {what}; give an image, a folder, a pattern in quotes or a video")
        root = _common_folder(files)
    known = sorted(x for x in files if _is_known(x) and not x.name.startswith("."))
    if not known:
        endings = ", ".join(f"{n} {suffix or 'without suffix'}" for suffix, n in Counter(x.suffix for x in files).most_common(4))
        raise FileNotFoundError(f"'{source}' has no image and no video ({endings or 'it is empty'}); known are {', '.join(IMAGE_SUFFIXES)}")
    return _name(known, root)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _is_known(path: Path) -> bool:
    return path.suffix.lower() in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)


def _common_folder(files: Sequence[Path]) -> Path:
    folder = files[0].parent
    while not all(file.is_relative_to(folder) for file in files):
        folder = folder.parent
    return folder


def _name(files: Sequence[Path], root: Path) -> list[Source]:
    names = [file.relative_to(root).with_suffix("").as_posix() for file in files]
    counts = Counter(names)
    return [
        Source(file, name if counts[name] == 1 else f"{name}_{file.suffix[1:].lower()}", _is_video(file))
        for file, name in zip(files, names)
    ]
