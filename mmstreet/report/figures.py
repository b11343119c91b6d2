"""Charts by matplotlib as files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from mmstreet.files.atomic import atomic_path


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format of the file's ending, whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
    return Path(path)
