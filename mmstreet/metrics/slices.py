"""Scores of parts of a test set: by what is known about an image, by what is measured on it, by how far up in the image a pixel lies.

Every pixel belongs to one slice of each attribute, so the counts of its slices add up to those of the whole.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmstreet.files.confusion_scores import compute_scores
from mmstreet.files.image_confusions import FEW_PIXELS, ImageConfusions, bootstrap, interval
from mmstreet.files.numbers import percent
from mmstreet.formats.image_attributes import ImageAttributes
from mmstreet.metrics.functional import confusion_matrix, count_pairs
from mmstreet.readback import Readback, on_host

UNKNOWN = "unknown"
ROWS = ("upper third", "middle third", "lower third")
"""Bands of image rows: from far to near, as a camera on a car sees the road."""
ROW, SHARE = "row", "share/"
_MANY = 12
"""Different numbers from which an attribute is cut into thirds and not into single values."""


@dataclass(frozen=True, eq=False)
class Slice:
    """A part of a test set: its counts by image, int ``[N, C + 1, C + 1]``, and the numbers of these images in the whole set."""

    value: str
    counts: np.ndarray
    images: Sequence[int]


def measure_brightness(image: torch.Tensor) -> float:
    """Return the mean of the channels and pixels of an image, ``[3, H, W]``."""
    return float(image.float().mean())


def measure_sharpness(image: torch.Tensor) -> float:
    """Return the variance of the Laplacian of the mean of the channels (Pech-Pacheco et al., ICPR 2000); blur makes it small."""
    grey = image.float().mean(0)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    return float(laplacian.var(correction=0)) if laplacian.numel() else 0.0


MEASURES: dict[str, Callable[[torch.Tensor], float]] = {"brightness": measure_brightness, "sharpness": measure_sharpness}
"""What is measured on an image as the network gets it, ``[3, H, W]``."""


class Slicer:
    """Cuts a test set into slices.

    Args:
        by: Names: :data:`MEASURES`, ``'row'``, ``'share/<class>'``, or attributes of the file.
        attributes: Where to find the attributes of images; see :class:`~mmstreet.formats.image_attributes.ImageAttributes`.

    Raises:
        ValueError: If a name is unknown, or the file cannot be used.
    """

    def __init__(self, by: Sequence[str], attributes: str | None) -> None:
        self.by = (by,) if isinstance(by, str) else tuple(by)
        self.attributes = ImageAttributes(attributes) if attributes is not None else None
        listed = self.attributes.names if self.attributes else ()
        for name in self.by:
            if name not in (*MEASURES, ROW, *listed) and not name.startswith(SHARE):
                known = ", ".join((*MEASURES, ROW, f"{SHARE}<class>", *listed))
                hint = "" if self.attributes else "; other attributes come from a file, attributes='labels.json' or '.csv'"
                raise ValueError(f"by={name!r} is unknown; choose among {known}{hint}")
        self.needs_images = bool(set(self.by) & set(MEASURES))

    def check_classes(self, names: Sequence[str]) -> None:
        """Raise ``ValueError`` if a class of ``'share/<class>'`` is none of ``names``."""
        for name in self.by:
            if name.startswith(SHARE) and name.removeprefix(SHARE) not in names:
                raise ValueError(f"by={name!r}: there is no such class; the scored classes are {', '.join(names)}")

    def measure(self, image: torch.Tensor | None, labels: torch.Tensor, preds: torch.Tensor, rules: Mapping) -> dict[str, object]:
        """Measure one image, ``[3, H, W]``, and count the bands of its maps, ``[H, W]`` each, by the rules of ``confusion_matrix``.

        On an accelerator the counts are a :class:`~mmstreet.readback.Readback` of what ``count_pairs`` returns.
        """
        measured: dict[str, object] = {name: MEASURES[name](image) for name in self.by if name in MEASURES}
        if ROW in self.by:
            here = on_host(labels)
            count = confusion_matrix if here else count_pairs
            bands = torch.stack([count(labels[rows], preds[rows], **rules) for rows in row_bands(len(labels))])
            measured[ROW] = bands.numpy() if here else Readback(bands)
        return measured

    def cut(self, images: ImageConfusions, measured: Sequence[Mapping], names: Sequence[str], *, scope: str) -> dict[str, list[Slice]]:
        """Cut counts into slices.

        Args:
            images: Counts of all images.
            measured: What :meth:`measure` returned for each.
            names: The class names.
            scope: Which of the counts are scored.

        """
        counts = images.scored(scope)
        slices = {}
        for name in self.by:
            if name == ROW:
                bands = np.array([values[ROW] for values in measured])  # [N, 3, C + 1, C + 1]
                everywhere = range(len(bands))
                slices[name] = [Slice(row, ImageConfusions((), bands[:, i]).scored(scope), everywhere) for i, row in enumerate(ROWS)]
            else:
                values = [one[name] for one in measured] if name in MEASURES else self._look_up(name, images.images, counts, names)
                slices[name] = slice_images(counts, cut_values(values))
        return slices

    def _look_up(self, name: str, images: Sequence[str], counts: np.ndarray, names: Sequence[str]) -> list:
        if name.startswith(SHARE):
            return share_of_class(counts, list(names).index(name.removeprefix(SHARE))).tolist()
        return [self.attributes.get(image).get(name) for image in images]


def row_bands(height: int) -> list[slice]:
    """Return the rows of each of :data:`ROWS`, from the top."""
    edges = [round(height * i / len(ROWS)) for i in range(len(ROWS) + 1)]
    return [slice(*pair) for pair in itertools.pairwise(edges)]


def share_of_class(counts: np.ndarray, label: int) -> np.ndarray:
    """Return the share of a class in the labelled pixels of each image, ``[N]``, from counts ``[N, C + 1, C + 1]``; 0 without pixels."""
    return counts[:, label].sum(-1) / np.maximum(counts.sum((1, 2)), 1)


def cut_values(values: Sequence[object]) -> list[str]:
    """Name the slice of each image from its value of an attribute.

    Floats, and other numbers that take more than twelve values, are cut at the thirds of the test set, 0 by itself where it is the least;
    equal values stay together. Everything else is a slice by itself.

    Args:
        values: One per image; ``None`` and ``""`` are unknown.

    Example:
        >>> cut_values(["rainy", None, "clear"])
        ['rainy', 'unknown', 'clear']
    """
    known = [value not in (None, "") for value in values]
    numbers = [_number(value) for value, there in zip(values, known) if there]
    measured = len(set(numbers)) > _MANY or any(isinstance(value, float) for value in values)
    if None in numbers or not measured:
        return [str(value) if there else UNKNOWN for value, there in zip(values, known)]
    numbers = np.array(numbers)
    apart = (numbers == 0) & (numbers.min() == 0)
    third = np.full(len(numbers), -1)
    if not apart.all():
        third[~apart] = np.searchsorted(np.quantile(numbers[~apart], (1 / 3, 2 / 3)), numbers[~apart])
    names = {i: "none" if i < 0 else f"{numbers[third == i].min():.3g} to {numbers[third == i].max():.3g}" for i in np.unique(third)}
    named = iter(names[i] for i in third)
    return [next(named) if there else UNKNOWN for there in known]


def slice_images(counts: np.ndarray, values: Sequence[str]) -> list[Slice]:
    """Put the counts of images, ``[N, C + 1, C + 1]``, into slices by the value of each image, one of them per value."""
    places: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        places.setdefault(value, []).append(i)
    return [Slice(value, counts[chosen], chosen) for value, chosen in places.items()]


def summarize_slices(slices: Sequence[Slice], names: Sequence[str], *, convention: str) -> list[dict]:
    """Score the slices of one attribute.

    Args:
        slices: With scored counts.
        names: The ``C`` class names.
        convention: ``'mmseg'`` or ``'bdd100k'``.

    Returns:
        JSON-ready, the lowest mIoU first and slices without one last: ``value``, ``images``, ``pixels``, ``mIoU`` in per cent with its
        ``interval``, and by class ``IoU`` and ``truth_pixels``; ``None`` where nothing can be measured.
    """
    rows = []
    for part in slices:
        total = part.counts.sum(0)
        scores = compute_scores(total, names, convention=convention)
        drawn = bootstrap(part.counts, lambda sums: compute_scores(sums, names, convention=convention))
        rows.append(
            {
                "value": part.value,
                "images": int((part.counts.sum((1, 2)) > 0).sum()),
                "pixels": int(total.sum()),
                "mIoU": percent(scores["mIoU"]),
                "interval": interval(drawn["mIoU"]),
                "IoU": [percent(scores[f"IoU/{name}"]) for name in names],
                "truth_pixels": total[:-1].sum(1).tolist(),
            }
        )
    return sorted(rows, key=lambda row: (row["mIoU"] is None, row["mIoU"] or 0))


def list_slices(slices: Mapping[str, Sequence[Mapping]], names: Sequence[str]) -> list[list]:
    """Lay out a line per slice, the header first."""
    rows: list[list] = [["attribute", "value", "images", "pixels", "mIoU", "mIoU_low", "mIoU_high", *(f"IoU/{name}" for name in names)]]
    for attribute, parts in slices.items():
        for part in parts:
            limits = part["interval"] or (None, None)
            rows.append([attribute, *(part[key] for key in ("value", "images", "pixels", "mIoU")), *limits, *part["IoU"]])
    return rows


def format_slices(slices: Mapping[str, Sequence[Mapping]], names: Sequence[str]) -> str:
    """Lay out a line per slice with its lowest class among those of enough pixels, and say which slices are too small."""
    lines, width = [], max((len(f"{attribute}: {part['value']}") for attribute, parts in slices.items() for part in parts), default=0)
    for attribute, parts in slices.items():
        lines.append(f"{attribute + ':':<{width}}  images    mIoU  interval        lowest class")
        for part in parts:
            limits = "{:.2f}–{:.2f}".format(*part["interval"]) if part["interval"] else ""
            enough = [i for i, pixels in enumerate(part["truth_pixels"]) if pixels >= FEW_PIXELS and part["IoU"][i] is not None]
            lowest = min(enough, key=lambda i: part["IoU"][i], default=None)
            worst = "" if lowest is None else f"{names[lowest]} {part['IoU'][lowest]:.2f}"
            remark = f"only {part['pixels']:,} pixels" if part["pixels"] < FEW_PIXELS else worst
            mean = "n/a" if part["mIoU"] is None else f"{part['mIoU']:.2f}"
            lines.append(f"  {part['value']:<{width - 2}}  {part['images']:>6}  {mean:>6}  {limits:<14}  {remark}")
    return "\n".join(lines)


def _number(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None
