"""What is known about images besides their labels, such as weather and time of day: from Scalabel JSON or from a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mmstreet.files.text import read_text
from mmstreet.formats.rules import parse_attributes
from mmstreet.formats.scalabel_labels import frame_name, iter_raw_frames

IMAGE_COLUMN = "image"


class ImageAttributes:
    """Attributes by image, found by the end of an image's path.

    Args:
        path: Scalabel JSON, one file or a folder, whose frames have ``attributes``; or a CSV file with the column ``image`` (a path or a
            file name) and one column per attribute.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is malformed, names an image twice, or tells nothing; the message names it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._rows: dict[str, Mapping] = {}
        for name, values in self._read_csv() if self.path.suffix.lower() == ".csv" else self._read_scalabel():
            if self._rows.setdefault(name, values) is not values:
                raise ValueError(f"{self.path} names the image '{name}' twice; keep one")
        self.names = tuple(dict.fromkeys(name for values in self._rows.values() for name in values))
        """The attributes that the file has."""
        if not self.names:
            raise ValueError(f"{self.path} tells no attribute of any image")

    def get(self, image: str) -> Mapping[str, object]:
        """Return the attributes of an image, those of the longest name that its path ends with; empty if the file has none."""
        parts = PurePosixPath(image.replace("\\", "/")).parts
        names = ("/".join(parts[i:]) for i in range(len(parts)))
        return next((self._rows[name] for name in names if name in self._rows), {})

    @property
    def example(self) -> str:
        """The first image of the file."""
        return next(iter(self._rows))

    def _read_csv(self) -> list[tuple[str, dict]]:
        rows = csv.DictReader(io.StringIO(read_text(self.path), newline=""))
        if IMAGE_COLUMN not in (rows.fieldnames or ()):
            raise ValueError(
                f"{self.path} has the columns {', '.join(rows.fieldnames or ()) or 'none'}; expected '{IMAGE_COLUMN}' and others"
            )
        found = []
        for row in rows:
            if None in row or None in row.values():
                raise ValueError(f"{self.path}, line {rows.line_num}: expected {len(rows.fieldnames)} cells as in the header")
            found.append((row.pop(IMAGE_COLUMN), {name: value.strip() for name, value in row.items()}))
        return found

    def _read_scalabel(self) -> list[tuple[str, dict]]:
        found = []
        for raw in iter_raw_frames(self.path):
            try:
                found.append((frame_name(raw), parse_attributes(raw.get("attributes"))))
            except ValueError as error:
                raise ValueError(f"{self.path}: {error}") from error
        return found
