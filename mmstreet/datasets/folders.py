"""Describes what a folder holds, for the message about a missing file; and reads list files."""

from __future__ import annotations

import bisect
import difflib
import os
import re
from collections import Counter
from pathlib import Path

from mmstreet.files.images import PICTURE_NAME
from mmstreet.files.text import read_text

_JPEG = re.compile(r"\.jpe?g$", re.IGNORECASE)


def read_list(path: str | Path) -> list[str]:
    """Read a list file in UTF-8: one name per line; blank lines and lines that begin with ``#`` do not count.

    Raises:
        FileNotFoundError: If there is no such file; the message says what its folder holds.
        ValueError: If it holds no name or is not UTF-8.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"list file '{path}' does not exist; {describe_folder(path.parent, wanted=path.name)}")
    lines = [line.strip() for line in read_text(path).splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise ValueError(f"list file '{path}' holds no name; write one image name per line")
    return names


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
    suffixes = Counter(Path(e.name).suffix or "(no suffix)" for e in entries if not e.is_dir() and not e.name.startswith("."))
    holds = [f"folder{'s' * (len(folders) > 1)} {', '.join(folders[:8])}{', …' * (len(folders) > 8)}"] if folders else []
    holds += [f"{count} file{'s' * (count > 1)} '{suffix}'" for suffix, count in suffixes.most_common(5)]
    text = f"'{folder}' holds {' and '.join(holds) or 'nothing'}"
    if missing:
        text = f"there is no folder '{wanted}'; {text}"
    near = difflib.get_close_matches(wanted or "", [e.name for e in entries], n=1)
    return f"{text}; did you mean '{near[0]}'?" if near else text


def describe_missing(wanted: str | Path, name: str, *, listings: dict[Path, list[str]] | None = None) -> str:
    """Say what is there where a file was looked for: files with the same beginning, otherwise what the folder holds.

    Args:
        wanted: The file.
        name: Its name without suffix; folders in it do not count.
        listings: Names of folders that have been read already; filled here, for many files of few folders. With it, nearly equal names
            are not searched.
    """
    wanted, name = Path(wanted), name.rpartition("/")[2]
    folder = wanted.parent
    if not folder.is_dir():
        return describe_folder(folder)
    names = {} if listings is None else listings
    if folder not in names:
        names[folder] = sorted(e.name for e in os.scandir(folder) if e.is_file() and not e.name.startswith("."))
    first = bisect.bisect_left(names[folder], name)
    same = [
        other for other in names[folder][first : first + 50] if other.startswith(name) and not other[len(name) : len(name) + 1].isalnum()
    ]
    if same:
        jpeg = any(map(_JPEG.search, same)) and wanted.suffix == ".png"
        return f"found instead: {', '.join(map(repr, same[:4]))}{'; a JPEG changes ids, so label maps have to be PNG files' * jpeg}"
    if listings is None:
        return describe_folder(folder, wanted=wanted.name)
    return f"none of the {len(names[folder])} files there is called '{name}'"


def other_pictures(folder: str | Path, read: set[str]) -> list[str]:
    """List the picture files below a folder that are not among the paths in ``read``; hidden ones do not count."""
    found = []
    for directory, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        paths = (os.path.join(directory, name) for name in names if PICTURE_NAME.search(name) and not name.startswith("."))
        found += [path for path in paths if path not in read]
    return sorted(found)
