"""A folder of results is of one checkpoint: what a test of another one left there is removed before new results are written."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from pathlib import Path

from mmstreet.files.atomic import write_json
from mmstreet.files.contained import path_inside

NAME = "files.json"
KINDS = (".json", ".csv", ".npz", ".png", ".jpg", ".zip")
"""What a test writes, and so all that may be removed, whatever the list says."""


class ResultFolder:
    """The files that tests have written into a folder, listed in ``files.json`` there; nothing else is ever removed.

    Args:
        path: The folder.
        checkpoint: What was tested; ``None`` where the weights have no file, which then are taken for others than before.
    """

    def __init__(self, path: str | Path, checkpoint: str | None) -> None:
        self.path = Path(path)
        self._source = checkpoint

    @functools.cached_property
    def checkpoint(self) -> dict | None:
        """Which file was tested: path, size and time, since a training writes new weights under old names."""
        if self._source is None or "://" in self._source:
            return self._source and {"path": self._source}
        found = Path(self._source).stat()
        return {"path": str(Path(self._source).resolve()), "bytes": found.st_size, "modified_ns": found.st_mtime_ns}

    def start(self) -> list[str]:
        """Remove the files of another checkpoint, and return their names; call it when the new results are there to be written."""
        names, checkpoint = self._read()
        if checkpoint is not None and checkpoint == self.checkpoint:
            return []
        removed = []
        for name in names:
            try:
                path = path_inside(self.path, name)
            except ValueError:
                continue
            if path.suffix in KINDS and path.is_file() and not path.is_symlink():
                path.unlink()
                removed.append(name)
                if path.parent != self.path and not any(path.parent.iterdir()):
                    path.parent.rmdir()
        write_json({"checkpoint": self.checkpoint, "files": []}, self.path / NAME)
        return removed

    def add(self, files: Iterable[Path]) -> None:
        """Note files as written by a test of this checkpoint."""
        names = self.read()
        new = [file.relative_to(self.path).as_posix() for file in files]
        write_json({"checkpoint": self.checkpoint, "files": list(dict.fromkeys([*names, *new]))}, self.path / NAME)

    def read(self) -> list[str]:
        """Return the names of the files, relative to the folder."""
        return self._read()[0]

    def _read(self) -> tuple[list[str], object]:
        try:
            content = json.loads((self.path / NAME).read_text(encoding="utf-8"))
            return [name for name in content["files"] if isinstance(name, str)], content["checkpoint"]
        except (OSError, ValueError, KeyError, TypeError):
            return [], None
