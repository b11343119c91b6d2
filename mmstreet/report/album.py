"""The images of a page: each photograph with its label maps as layers, and the predictions of all runs that were tested on it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmstreet.files.confusion_scores import iou_per_class, mean_present
from mmstreet.files.image_confusions import ImageConfusions
from mmstreet.files.label_archive import FILE
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.report.pictures import CHANGES, ERRORS, embed_ids, find_changes, find_errors
from mmstreet.report.run_files import Evaluation
from mmstreet.report.run_folder import RunFolder

PHOTO, TRUTH = "photo", "truth"
LIMIT = 40
"""Images of the first album of a page."""
FEWER = 12
"""Images of each further album."""


@dataclass(frozen=True, eq=False)
class Source:
    """An evaluation whose images an album shows.

    Attributes:
        key: What the keys of its lists begin with.
        name: What its prediction is called.
        folder: Reads its files.
        one: The evaluation.
        counts: Counts of all its images, if they are known.
    """

    key: str
    name: str
    folder: RunFolder
    one: Evaluation
    counts: ImageConfusions | None

    def numbers(self) -> Callable[[str], int | None]:
        """Return a function from the path of an image to its number in this test: by path, else by a file name that occurs once."""
        if self.counts is None:
            return lambda path: None
        paths, names = ({key(image): i for i, image in enumerate(self.counts.images)} for key in (str, _name))
        unique = len(names) == len(self.counts.images)
        return lambda path: paths.get(path, names.get(_name(path)) if unique else None)

    def scored(self, number: int) -> np.ndarray:
        """Return the scored counts of one image, ``[C + 1, C + 1]``."""
        return ImageConfusions((), self.counts.confusion[number]).scored(self.one.semantic["scope"])

    def score(self, number: int | None) -> float | None:
        """Return the mIoU of one image in per cent; ``None`` where it is not known."""
        if number is None or self.counts is None:
            return None
        score = mean_present(iou_per_class(self.scored(number), convention=self.one.semantic["convention"]))
        return None if np.isnan(score) else 100 * float(score)


@dataclass(frozen=True, eq=False)
class Entry:
    """An image of an album: for each source what its index says, if it kept the image, and the number of the image in its test."""

    rows: list[Mapping | None]
    numbers: Sequence[int | None]

    @property
    def home(self) -> int:
        """The first source that kept the image."""
        return next(i for i, row in enumerate(self.rows) if row)


def gather_entries(sources: Sequence[Source], *, limit: int) -> tuple[list[Entry], int]:
    """Take the images that the sources kept, in turn, each image once.

    Returns:
        The entries, and how many images were left out for the limit.
    """
    find = [source.numbers() for source in sources]
    entries: dict[object, Entry] = {}
    for ranked in itertools.zip_longest(*(source.one.kept["images"] if source.one.kept else () for source in sources)):
        for owner, row in enumerate(ranked):
            if row is not None:
                numbers = [look(row["img_path"]) for look in find]
                known = next((place for place in enumerate(numbers) if place[1] is not None), row["img_path"])
                entries.setdefault(known, Entry([None] * len(sources), numbers)).rows[owner] = row
    return list(entries.values())[:limit], max(0, len(entries) - limit)


def describe_images(sources: Sequence[Source], entries: Sequence[Entry]) -> dict:
    """Lay out the images of an album: what :func:`lay_out` returns, with a layer of errors for each source."""
    images = []
    for entry in entries:
        home, own = sources[entry.home], entry.rows[entry.home]
        maps = [_read_map(home, own, TRUTH)]
        for source, row, number in zip(sources, entry.rows, entry.numbers):
            if row:
                maps.append(_read_map(source, row, "prediction"))
            else:
                maps.append(None if number is None else source.folder.archived_map(source.one.folder / FILE, number))
        images.append((own["title"], _describe_scores(sources, entry), _read_photo(home, own), maps))
    rules, names = next(source.one.kept for source in sources if source.one.kept), [source.name for source in sources]
    ways = dict(num_classes=len(rules["classes"]), background_scored=bool(rules.get("background_scored", True)))
    errors = [("error" if len(names) == 1 else f"{name}: error", i) for i, name in enumerate(names, 1)]
    return lay_out(images, rules, [TRUTH, *names], errors, lambda truth, preds, _: find_errors(truth, preds, **ways), ERRORS)


def describe_refined(found: Mapping, folder: RunFolder) -> dict:
    """Lay out the images that refiners changed most, with a layer of changes for each refiner."""
    images = []
    names = [name for row in found["images"][:1] for name in row["pictures"] if name not in ("image", TRUTH)]
    for row in found["images"]:
        files = [found["folder"] / row["pictures"].get(name, "") for name in ("image", TRUTH, *names)]
        right = ", ".join(f"{name} {value:.1f} %" for name, value in row["right"].items() if value is not None)
        images.append((row["title"], f"right pixels: {right}", folder.picture(files[0]), [folder.label_map(file) for file in files[1:]]))
    changes = [(f"{name}: changes", i) for i, name in enumerate(names[1:], 2)]
    return lay_out(images, found, [TRUTH, *names], changes, lambda truth, after, before: find_changes(truth, before, after), CHANGES)


def lay_out(
    images: Sequence[tuple[str, str, str | None, Sequence[np.ndarray | None]]],
    rules: Mapping,
    names: Sequence[str],
    marked: Sequence[tuple[str, int]],
    mark: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    meanings: Mapping[str, Sequence[int]],
) -> dict:
    """Lay out images with their layers.

    Args:
        images: Title, note, photograph and label maps of each, the truth first.
        rules: ``classes``, ``ignored`` and ``no_class`` of an index.
        names: Of the label maps.
        marked: Further layers: the name, and the place of the label map that it is about.
        mark: Makes such a layer of the truth, that map, and the map after the truth.
        meanings: Meaning and colour of the ids of these layers.

    Returns:
        ``layers`` (``name`` and ``kind``: ``photo``, ``classes`` or ``marks``), ``legend`` (``name``, ``color`` and ``kind``), and
        ``images`` with ``title``, ``note``, ``sources``, one per layer or ``None``, and ``present``, places in the legend.
    """
    count = len(rules["classes"])
    palette = [_rgb(one["color"]) for one in rules["classes"]] + [_rgb(rules["no_class"])] * (255 - count) + [_rgb(rules["ignored"])]
    marks, shown = [*meanings.values()], []
    for title, note, photo, maps in images:
        size = next((ids.shape for ids in maps if ids is not None), None)
        maps = [ids if ids is not None and ids.shape == size else None for ids in maps]
        sources = [photo, *(None if ids is None else embed_ids(ids, palette) for ids in maps)]
        present = {count + 1 if i == IGNORE_INDEX else min(i, count) for ids in maps if ids is not None for i in np.unique(ids).tolist()}
        for _, i in marked:
            parts = (maps[0], maps[i], maps[1])
            found = None if any(part is None for part in parts) else mark(*parts)
            sources.append(None if found is None else embed_ids(found, marks, see_through=True))
            present |= set() if found is None else {count + 2 + i for i in np.unique(found).tolist()}
        shown.append({"title": title, "note": note, "sources": sources, "present": sorted(present)})
    layers = [(PHOTO, "photo"), *((name, "classes") for name in names), *((name, "marks") for name, _ in marked)]
    legend = [(one["class"], one["color"], "classes") for one in rules["classes"]]
    legend += [("none of the classes", rules["no_class"], "classes"), ("not labelled", rules["ignored"], "classes")]
    legend += [(name, color, "marks") for name, color in meanings.items()]
    return {
        "layers": [dict(zip(("name", "kind"), layer)) for layer in layers],
        "legend": [{"name": name, "color": css_color(color), "kind": kind} for name, color, kind in legend],
        "images": shown,
    }


def _describe_scores(sources: Sequence[Source], entry: Entry) -> str:
    if len(sources) > 1:
        scores = [(source.name, source.score(number)) for source, number in zip(sources, entry.numbers)]
        return "mIoU: " + ", ".join(f"{name} {'not tested' if score is None else f'{score:.1f} %'}" for name, score in scores)
    score, right = entry.rows[0].get("mIoU"), entry.rows[0]["right"].get("prediction")
    words = [] if score is None else [f"mIoU {score:.1f} %"]
    return ", ".join([*words, *([] if right is None else [f"{100 - right:.1f} % of the scored pixels wrong"])])


def _read_photo(source: Source, row: Mapping) -> str | None:
    return source.folder.picture(source.one.kept["folder"] / row["pictures"].get("image", ""))


def _read_map(source: Source, row: Mapping, name: str) -> np.ndarray | None:
    return source.folder.label_map(source.one.kept["folder"] / row["pictures"].get(name, ""))


def _name(path: str) -> str:
    return Path(path).name


def css_color(color: str | Sequence[int]) -> str:
    """Write a colour, ``#rgb``, ``#rrggbb`` or three integers, as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*_rgb(color))


def _rgb(color: str | Sequence[int]) -> tuple[int, ...]:
    if not isinstance(color, str):
        return tuple(color)
    digits = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    return tuple(bytes.fromhex(digits))
