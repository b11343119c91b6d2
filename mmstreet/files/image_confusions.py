"""The confusion matrix of every image of a test, and what they say about its scores: how sure they are, and how bad single images are.

A score of a test set is one draw: another day's images give another number. The bootstrap (Efron, 1979) draws images with replacement,
adds their matrices and scores the sum, many times; the middle 95 % of these scores are the interval. Two runs over the same images are
drawn together, so that what makes images hard for both cancels in the difference.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmstreet.files.confusion_scores import drop_background, iou_per_class, mean_present
from mmstreet.files.numbers import percent

FILE = "per_image.npz"
DRAWS, LEVEL = 1000, 95
FEW_IMAGES = 30
"""With fewer images an interval is too narrow: few images do not show how much images differ."""
FEW_PIXELS = 10_000
"""With fewer labelled pixels an IoU says little, and the tables of slices say so."""
WORST = (5, 1)
"""Per cent of the lowest values whose mean is given."""
_MAX_BYTES, _MAX_ENTRIES = 1 << 30, 1 << 22

Scores = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class ImageConfusions:
    """Counts of a test by image: file paths, and int32 ``[N, C + 1, C + 1]``, with the background row."""

    images: Sequence[str]
    confusion: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what :data:`FILE` holds."""
        return {"images": np.array(self.images, np.str_), "confusion": self.confusion.astype(np.int32)}

    def scored(self, scope: str) -> np.ndarray:
        """Return the counts that a scope scores: ``'labelled'`` leaves the background row out."""
        return drop_background(self.confusion) if scope == "labelled" else self.confusion

    def ordered_as(self, other: ImageConfusions) -> ImageConfusions | None:
        """Return these counts in the order of another test of the same images; ``None`` where images or classes differ.

        Images are the same if their paths are, or, where data lie in another folder, if their file names are and each occurs once.
        """
        if self.confusion.shape != other.confusion.shape:
            return None
        for key in (str, lambda path: Path(path).name):
            places = {key(image): i for i, image in enumerate(self.images)}
            order = [places.get(key(image)) for image in other.images]
            if None not in order and len(set(order)) == len(self.images):
                return ImageConfusions(other.images, self.confusion[order])
        return None


def read_image_confusions(path: str | Path, *, num_classes: int) -> ImageConfusions:
    """Read a file that a test has left; nothing in it is executed, and sizes are checked before memory is taken.

    Raises:
        ValueError: If the file is none of these, or of other classes.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            headers = {name: read_header(archive, f"{name}.npy") for name in ("images", "confusion")}
        (shape, dtype), (listed, text) = headers["confusion"], headers["images"]
        whole = len(listed) == 1 and shape == (*listed, num_classes + 1, num_classes + 1) and dtype == np.int32 and text.kind == "U"
        if not whole or max(math.prod(shape) * 4, listed[0] * text.itemsize) > _MAX_BYTES:
            raise ValueError(f"it holds {dtype} {list(shape)}; expected int32 [N, {num_classes + 1}, {num_classes + 1}] of N images")
        with np.load(path, allow_pickle=False) as content:
            found = ImageConfusions(content["images"].tolist(), content["confusion"])
    except (OSError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no archive of the counts per image ({type(error).__name__}: {error})") from error
    if (found.confusion < 0).any():
        raise ValueError("it holds negative counts")
    return found


def read_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of an array in an archive; nothing else of it is read."""
    with archive.open(name) as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    return shape, dtype


def draw_times(images: int, *, draws: int = DRAWS, seed: int = 0, step: int = DRAWS) -> Iterator[np.ndarray]:
    """Draw as many images as there are, with replacement; yield how often each is drawn, float64 ``[step or fewer, images]``."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws, step):
        size = min(step, draws - start)
        picks = rng.integers(images, size=(size, images)) + images * np.arange(size)[:, None]
        yield np.bincount(picks.ravel(), minlength=size * images).reshape(size, images).astype(np.float64)


def resample(counts: np.ndarray, *, draws: int = DRAWS, seed: int = 0) -> Iterator[np.ndarray]:
    """Add up the counts of the images of each draw, see :func:`draw_times`.

    Args:
        counts: By image, ``[N, ...]``.
        draws: How many times.
        seed: Of the draws; two sets of ``N`` images get the same draws.

    Yields:
        Sums of some draws, float64 ``[D, ...]``, exact; ``draws`` in all.
    """
    images, flat = len(counts), counts.reshape(len(counts), -1).astype(np.float64)
    step = max(1, min(draws, _MAX_ENTRIES // max(images, flat.shape[1])))
    for times in draw_times(images, draws=draws, seed=seed, step=step):
        yield (times @ flat).reshape(len(times), *counts.shape[1:])


def bootstrap(counts: np.ndarray, score: Callable[[np.ndarray], Scores], *, draws: int = DRAWS, seed: int = 0) -> dict[str, np.ndarray]:
    """Score resampled test sets.

    Args:
        counts: Scored counts by image, ``[N, C + 1, C + 1]``.
        score: Turns counts ``[D, C + 1, C + 1]`` into scores by name, ``[D]`` each, nan where nothing can be measured.
        draws: How many sets.
        seed: Of the draws.

    Returns:
        ``[draws]`` by the name of the score.
    """
    parts = [score(sums) for sums in resample(counts, draws=draws, seed=seed)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def interval(values: np.ndarray) -> list[float] | None:
    """Return the percentile interval of resampled scores in per cent; ``None`` without one. Draws that are nan are left out."""
    values = values[~np.isnan(values)]
    low = (100 - LEVEL) / 2
    return (100 * np.percentile(values, (low, 100 - low))).tolist() if len(values) else None


def image_wise_scores(counts: np.ndarray) -> dict[str, float | None]:
    """IoU by image (Wang et al., Revisiting Evaluation Metrics for Semantic Segmentation, NeurIPS 2023), in per cent.

    A class counts in an image where it is labelled. ``mIoU_I`` is the mean over images of the mean over their classes, ``mIoU_C`` the mean
    over classes of the mean over the images that have them. ``_worst_5`` takes of the averaged values the lowest 5 % only, at least one:
    of the images, or of the images of each class.

    Args:
        counts: Scored counts by image, ``[N, C + 1, C + 1]``.
    """
    ious = iou_per_class(counts, convention="bdd100k")
    by_image = mean_present(ious)
    scores = {"mIoU_I": mean_present(by_image), "mIoU_C": mean_present(mean_present(ious.T))}
    for share in WORST:
        scores[f"mIoU_I_worst_{share}"] = _mean_of_lowest(by_image, share)
        scores[f"mIoU_C_worst_{share}"] = mean_present([_mean_of_lowest(values, share) for values in ious.T])
    return {name: percent(value) for name, value in scores.items()}


def _mean_of_lowest(values: np.ndarray, share: float) -> float:
    known = np.sort(values[~np.isnan(values)])
    return mean_present(known[: -(-len(known) * share // 100)])
