"""The folder of a run, which somebody else may have written: what is read stays inside it, and what cannot be used is named."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from mmstreet.files.ap_draws import ApDraws, read_ap_draws
from mmstreet.files.contained import path_inside
from mmstreet.files.image_confusions import ImageConfusions, read_image_confusions
from mmstreet.files.label_archive import decode_ids, read_label_archive
from mmstreet.report.pictures import embed
from mmstreet.report.shapes import check_shape


class RunFolder:
    """Reads the files of one run: none outside the folder, regular files only, and only what has the expected shape.

    Args:
        path: The folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.problems: list[str] = []
        """A sentence for each file that was left out, with its name and the reason."""

    def text(self, path: Path, *, limit: int | None = None) -> str | None:
        """Return the text of a file; ``None`` without a regular file of this run."""
        found = self._find(path)
        if found is None:
            return None
        try:
            with open(found, encoding="utf-8", errors="replace") as file:
                return file.read(limit)
        except OSError as error:
            return self.leave_out(path, error)

    def json(self, path: Path, shape: object) -> dict | None:
        """Return the content of a JSON file; ``None``, and perhaps a problem, if it cannot be used."""
        text = self.text(path)
        if text is None:
            return None
        try:
            content = json.loads(text)
            check_shape(content, shape)
        except (ValueError, RecursionError) as error:
            return self.leave_out(path, error)
        return content

    def image_confusions(self, path: Path, *, num_classes: int) -> ImageConfusions | None:
        """Return the counts of every image; ``None``, and perhaps a problem, if they cannot be used."""
        found = self._find(path)
        try:
            return None if found is None else read_image_confusions(found, num_classes=num_classes)
        except ValueError as error:
            return self.leave_out(path, error)

    def ap_draws(self, path: Path) -> ApDraws | None:
        """Return the average precisions by draw; ``None``, and perhaps a problem, if they cannot be used."""
        found = self._find(path)
        try:
            return None if found is None else read_ap_draws(found)
        except ValueError as error:
            return self.leave_out(path, error)

    def picture(self, path: Path) -> str | None:
        """Return a picture as a ``data:`` address; ``None``, and perhaps a problem, if it cannot be shown."""
        found = self._find(path)
        try:
            return None if found is None else embed(found)
        except ValueError as error:
            return self.leave_out(path, error)

    def label_map(self, path: Path) -> np.ndarray | None:
        """Return a label map, uint8 ``[H, W]``; ``None``, and perhaps a problem, if it cannot be shown."""
        found = self._find(path)
        try:
            return None if found is None else decode_ids(found)
        except ValueError as error:
            return self.leave_out(path, error)

    def archived_map(self, path: Path, number: int) -> np.ndarray | None:
        """Return a label map out of an archive; ``None``, and perhaps a problem, if it has none or cannot be used."""
        found = self._find(path)
        try:
            return None if found is None else read_label_archive(found, number)
        except ValueError as error:
            return self.leave_out(path, error)

    def _find(self, path: Path) -> Path | None:
        try:
            found = path_inside(self.path, os.path.relpath(path, self.path))
            return found if found.is_file() else None
        except (OSError, ValueError) as error:
            return self.leave_out(path, error)

    def leave_out(self, path: Path, error: Exception) -> None:
        """Note that a file is not on the page, and why."""
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        problem = f"{os.path.relpath(path, self.path)} was left out: {reason}"
        self.problems += [problem] if problem not in self.problems else []
