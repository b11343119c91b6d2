"""The files below a folder by the ends of their names, in one order on every machine; hidden ones do not count."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def walk_files(root: str | Path) -> Iterator[str]:
    """Yield the ``/``-separated path of every file below a folder, folder by folder in the order of names; links are followed.

    Hidden files and folders are left out, among them the ``._NAME`` that macOS writes beside each file, and its ``__MACOSX``.
    """
    for directory, folders, files in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        inside = os.path.relpath(directory, root).replace(os.sep, "/")
        for name in sorted(files):
            if not name.startswith("."):
                yield name if inside == "." else f"{inside}/{name}"


def find_files(root: str | Path, ending: str) -> list[str]:
    """Return the paths of :func:`walk_files` that have an ending, sorted."""
    return sorted(path for path in walk_files(root) if path.endswith(ending))
