"""What label files hold before anybody knows their classes: ids, palette colours or colours, and how many pixels of each."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmstreet.files.images import ImageFileError, open_header, read_regular_file
from mmstreet.files.parallel import available_cores, map_chunks
from mmstreet.formats.label_files import LabelFileError, label_kind

MAX_COLORS = 300
"""More colours than that in one file are a photograph's."""
_WORTH_A_PROCESS = 100


@dataclass
class LabelSurvey:
    """Sums over label files.

    Attributes:
        files: Files that could be read.
        kinds: Number of files of each kind: ``'ids'``, ``'palette'``, ``'rgb'``.
        ids: Pixels of each value in files of ids, and of each index in palette files.
        colors: Pixels of each RGB colour in colour files, and of the colour behind each index in palette files.
        palette: Colour of each palette index that is used, of the first file that has it.
        problems: What was wrong with a file, by its path.
    """

    files: int = 0
    kinds: Counter = field(default_factory=Counter)
    ids: Counter = field(default_factory=Counter)
    colors: Counter = field(default_factory=Counter)
    palette: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)

    def add(self, other: LabelSurvey) -> None:
        """Add the sums of other files."""
        self.files += other.files
        for name in ("kinds", "ids", "colors"):
            getattr(self, name).update(getattr(other, name))
        self.palette = {**other.palette, **self.palette}
        self.problems |= other.problems


def survey_labels(paths: Iterable[str], *, workers: int | None = None, desc: str | None = None) -> LabelSurvey:
    """Read label files and sum up what they hold; a file that cannot be read is a problem, not an error.

    Args:
        paths: The files.
        workers: Processes, at most; ``None`` takes one per core.
        desc: What a progress bar says; ``None`` shows none.
    """
    paths = list(paths)
    total = LabelSurvey()
    workers = min(available_cores() if workers is None else workers, 1 + len(paths) // _WORTH_A_PROCESS)
    with tqdm(total=len(paths), desc=desc, unit="label", disable=desc is None) as bar:
        for part in map_chunks(_survey_some, paths, workers=workers, chunk_size=16):
            total.add(part)
            bar.update(part.files + len(part.problems))
    return total


def _survey_some(paths: list[str]) -> LabelSurvey:
    total = LabelSurvey()
    for path in paths:
        try:
            total.add(survey_file(path))
        except (ImageFileError, OSError) as error:
            total.problems[path] = str(error)
    return total


def survey_file(path: str | Path) -> LabelSurvey:
    """Count the values of one label file.

    Raises:
        LabelFileError: If it is no PNG that can hold labels, or has the many colours of a photograph.
    """
    data = read_regular_file(path)
    kind = label_kind(data, path)
    open_header(data, path)
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            palette = image.getpalette("RGB") if kind == "palette" else None
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise LabelFileError(f"label file {path} cannot be decoded ({error})") from error
    found = LabelSurvey(files=1, kinds=Counter({kind: 1}))
    if kind == "rgb":
        wide = pixels[..., :3].astype(np.uint32)
        values, counts = np.unique(wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2], return_counts=True)
        if len(values) > MAX_COLORS:
            raise LabelFileError(
                f"{path} has {len(values)} colours, as a photograph or a smoothly scaled map has; label maps have one per class"
            )
        found.colors = Counter({(int(v) >> 16, int(v) >> 8 & 255, int(v) & 255): int(n) for v, n in zip(values, counts)})
        return found
    counts = np.bincount(pixels.ravel(), minlength=256)
    found.ids = Counter({int(value): int(counts[value]) for value in np.flatnonzero(counts)})
    for value, count in found.ids.items() if palette else ():
        color = tuple(palette[3 * value : 3 * value + 3])
        if len(color) == 3:
            found.palette[value] = color
            found.colors[color] += count
    return found
