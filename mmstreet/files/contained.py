"""Paths named by data that must stay inside a folder."""

from __future__ import annotations

from pathlib import Path


def path_inside(folder: str | Path, name: object) -> Path:
    """Return ``folder / name`` where that is inside the folder, with all symbolic links followed.

    Args:
        folder: The folder.
        name: A relative path, as read from a file that somebody else may have written.

    Raises:
        ValueError: If the name is no text, or the path leaves the folder.
    """
    if not isinstance(name, str) or "\0" in name:
        raise ValueError(f"expected the name of a file, got {name!r}")
    path = Path(folder) / name
    try:
        inside = path.resolve().is_relative_to(Path(folder).resolve())
    except (OSError, RuntimeError):  # a loop of links, a name that is too long
        inside = False
    if not inside:
        raise ValueError(f"'{name}' leads out of the folder '{folder}'{', for it is a link' if path.is_symlink() else ''}")
    return path
