"""IoU that counts the pixels of small objects as much as those of large ones: Cityscapes' instance-weighted IoU, from instance maps.

Cordts et al., The Cityscapes Dataset, CVPR 2016, section 4.1; ``evalPixelLevelSemanticLabeling.py`` of cityscapesScripts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.files.confusion_scores import mean_present
from mmstreet.files.image_confusions import bootstrap, interval
from mmstreet.files.images import open_header, read_regular_file
from mmstreet.files.numbers import percent
from mmstreet.formats.bitmask import read_bitmask
from mmstreet.labels import LabelTable

CITYSCAPES_SIZES = {
    "person": 3462.4756337644,
    "rider": 3930.4788056518,
    "car": 12794.0202738185,
    "truck": 27855.1264367816,
    "bus": 35732.1511111111,
    "train": 67583.7075812274,
    "motorcycle": 6298.7200839748,
    "bicycle": 4672.3249222261,
    "caravan": 36771.8241758242,
    "trailer": 16926.9763313609,
}
"""Mean pixels of an instance of each class of Cityscapes, as its evaluation script has them."""
LEAST_ID = 1000
"""Cityscapes' instance maps hold ``1000 * class + number`` for instances, and the class alone for groups and all else."""
COLUMNS = ("number", "pixels", "hits", "group_hits")
"""What :func:`count_instances` counts for each class: instances, their pixels, and shares of them predicted right, summed."""


class InstanceMaps:
    """Finds and reads the instance map beside a label file.

    Args:
        replace: Part of the path of a label file, and what stands there in the path of its instance map, such as
            ``('_labelIds.png', '_instanceIds.png')`` or ``('sem_seg/masks', 'ins_seg/bitmasks')``.

    Raises:
        ValueError: If it is no pair of different texts.
    """

    def __init__(self, replace: Sequence[str]) -> None:
        replace = tuple(replace) if not isinstance(replace, str) else (replace,)
        if len(replace) != 2 or not all(isinstance(part, str) and part for part in replace) or replace[0] == replace[1]:
            raise ValueError(f"instances must be a pair, a part of the label path and what stands there for instance maps, got {replace}")
        self.replace = replace

    def path_of(self, label_path: str | None) -> str:
        """Return the path of the instance map.

        Raises:
            ValueError: If the label path is not known, or the part does not occur in it.
        """
        if self.replace[0] not in str(label_path or ""):
            raise ValueError(f"instances={self.replace}: the path of the labels, {label_path!r}, has no '{self.replace[0]}'")
        return self.replace[1].join(str(label_path).rsplit(self.replace[0], 1))

    def read(self, label_path: str | None) -> np.ndarray:
        """Read the instance map of a label file: Cityscapes' ``instanceIds``, or BDD100K's bitmask without ignored and crowded areas.

        Returns:
            int64 ``[H, W]``: an id per instance, 0 where there is none.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read.
        """
        path = self.path_of(label_path)
        picture = open_header(read_regular_file(path), path)
        if picture is None or picture.mode == "RGBA":
            red, green, blue, alpha = np.moveaxis(read_bitmask(path).astype(np.int64), -1, 0)
            return np.where((red > 0) & (green & 3 == 0), 1 + (blue << 8 | alpha), 0)
        try:
            ids = np.asarray(picture).astype(np.int64)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{path} cannot be read as an instance map ({error})") from error
        if ids.ndim != 2:
            raise ValueError(f"{path} has mode {picture.mode}; an instance map holds ids in one channel, or is a bitmask in RGBA")
        return np.where(ids >= LEAST_ID, ids, 0)


def count_instances(
    instances: np.ndarray, labels: np.ndarray, preds: np.ndarray, *, num_classes: int, groups: Sequence[int] | None = None
) -> np.ndarray:
    """Count the instances of one image and how much of each is predicted right.

    An instance is of the class that most of its pixels are labelled as, and has these pixels.

    Args:
        instances: Ids ``[H, W]``, 0 where there is no instance.
        labels: True class ids ``[H, W]``; ids from ``num_classes`` on belong to no instance.
        preds: Predicted class ids ``[H, W]``.
        num_classes: Number of classes ``C``.
        groups: The category of each class, an integer; by default each class is one.

    Returns:
        float64 ``[C, 4]``: see :data:`COLUMNS`. ``hits`` sums over the instances the share of the pixels predicted as the class,
        ``group_hits`` that of the pixels predicted as any class of its category.

    Raises:
        ValueError: If the maps differ in size.
    """
    if not instances.shape == labels.shape == preds.shape:
        raise ValueError(f"the instance map is {list(instances.shape)}, labels {list(labels.shape)}, prediction {list(preds.shape)}")
    found, known = np.zeros((num_classes, len(COLUMNS))), (instances > 0) & (labels < num_classes)
    if not known.any():
        return found
    _, owner = np.unique(instances[known], return_inverse=True)
    labels, preds, number = labels[known].astype(np.int64), np.minimum(preds[known], num_classes), owner.max() + 1
    votes = np.bincount(owner * num_classes + labels, minlength=number * num_classes).reshape(number, num_classes)
    own, size = votes.argmax(1), votes.max(1)
    inside = labels == own[owner]
    category = np.append(np.arange(num_classes) if groups is None else groups, -1)
    for column, right in ((2, preds == labels), (3, category[preds] == category[labels])):
        np.add.at(found[:, column], own, np.bincount(owner[inside & right], minlength=number) / size)
    np.add.at(found[:, 0], own, 1)
    np.add.at(found[:, 1], own, size)
    return found


def instance_weighted_iou(
    counted: np.ndarray, confusion: np.ndarray, *, sizes: Sequence[float] | None = None, members: Sequence[Sequence[int]] | None = None
) -> np.ndarray:
    """Instance-weighted IoU, ``iTP / (iTP + FP + iFN)``.

    A pixel of an instance counts by the mean size of the instances of its class over the size of the instance. False alarms are plain
    pixels, for they belong to no instance.

    Args:
        counted: What :func:`count_instances` counts, summed over images, ``[..., C, 4]``.
        confusion: Counts ``[..., C + 1, C + 1]`` of the same pixels, rows truth; see :mod:`mmstreet.files.confusion_scores`.
        sizes: Mean pixels of an instance of each class ``[C]``; default: those of ``counted``.
        members: Class ids of each category, for the scores of categories instead of classes; counted with its ``groups``.

    Returns:
        float64 ``[..., C]``, or one per category: in ``[0, 1]``, nan without an instance.
    """
    number, pixels = counted[..., 0], counted[..., 1]
    mean = np.divide(pixels, number, out=np.zeros_like(pixels), where=number > 0) if sizes is None else np.asarray(sizes, np.float64)
    whole, scores = mean * number, []
    for ids in members if members is not None else [[label] for label in range(counted.shape[-2])]:
        others = np.setdiff1d(np.arange(confusion.shape[-1]), ids)
        hits = (mean * counted[..., 2 if members is None else 3])[..., ids].sum(-1)
        false = confusion[..., others, :][..., ids].sum((-2, -1))
        total = np.asarray(whole[..., ids].sum(-1) + false, np.float64)
        there = number[..., ids].sum(-1) > 0
        scores.append(np.divide(hits, total, out=np.full(total.shape, np.nan), where=there))
    return np.stack(scores, -1)


class InstanceWeigher:
    """Counts instances image by image, and adds their scores to a report.

    Args:
        replace: See :class:`InstanceMaps`.
        sizes: Mean pixels of an instance by class, ``'cityscapes'``, or ``None`` for those of the test set.

    Raises:
        ValueError: If one of them cannot be used.
    """

    key = "instances"
    """Name of the counts among what is measured on an image."""

    def __init__(self, replace: Sequence[str], sizes: str | Mapping[str, float] | None) -> None:
        self.maps = InstanceMaps(replace)
        self.sizes = CITYSCAPES_SIZES if sizes == "cityscapes" else sizes
        known = self.sizes is None or (isinstance(self.sizes, Mapping) and all(size > 0 for size in self.sizes.values()))
        if not known:
            raise ValueError(f"instance_sizes must be pixels by class, all above 0, or 'cityscapes', got {sizes!r}")

    def measure(
        self, label_path: str | None, labels: np.ndarray, preds: np.ndarray, *, names: Sequence[str], table: LabelTable | None
    ) -> dict[str, np.ndarray]:
        """Count the instances of one image by :data:`key`; class ids ``[H, W]`` both, and the table that has the categories.

        Raises:
            FileNotFoundError: If the image has no instance map.
            ValueError: If that is of another size or cannot be read; the message names the label file.
        """
        groups = [list(table.groups).index(label.group) for label in table.labels] if table else None
        try:
            return {self.key: count_instances(self.maps.read(label_path), labels, preds, num_classes=len(names), groups=groups)}
        except ValueError as error:
            raise ValueError(f"{label_path}: {error}") from error

    def add_scores(self, report: dict, measured: Sequence[Mapping], counts: np.ndarray, *, table: LabelTable | None) -> None:
        """Add the scores to ``metrics`` of a report and their intervals to ``intervals``, in per cent.

        Args:
            report: Of :func:`~mmstreet.metrics.summary.summarize` and :func:`~mmstreet.metrics.summary.summarize_images`.
            measured: What :meth:`measure` returned for each image.
            counts: Scored counts by image ``[N, C + 1, C + 1]``.
            table: As in :meth:`measure`.

        Raises:
            ValueError: If a class has instances and no size, or there is no instance at all.
        """
        names, counted = report["classes"], np.array([one[self.key] for one in measured])  # [N, C, 4]
        there = counted[:, :, 0].sum(0) > 0
        if not there.any():
            raise ValueError(f"none of the {len(measured)} instance maps has an instance of a class; check instances={self.maps.replace}")
        missing = [name for name, has in zip(names, there) if has and self.sizes is not None and name not in self.sizes]
        if missing:
            raise ValueError(f"instance_sizes has no {', '.join(missing)}, of which there are instances")
        sizes = None if self.sizes is None else [self.sizes.get(name, 0) for name in names]
        settings = dict(sizes=sizes, groups=table.groups if table else None)
        cut, size = counted[0].size, counts.shape[-1]

        def score(sums: np.ndarray) -> dict[str, np.ndarray]:
            parts = sums[..., :cut].reshape(*sums.shape[:-1], len(names), -1), sums[..., cut:].reshape(*sums.shape[:-1], size, size)
            return score_instances(*parts, names, **settings)

        flat = np.concatenate([counted.reshape(len(counted), -1), counts.reshape(len(counts), -1)], 1)
        report["metrics"] |= {name: percent(value) for name, value in score(flat.sum(0)).items()}
        report["intervals"]["scores"] |= {name: interval(values) for name, values in bootstrap(flat, score).items()}


def score_instances(
    counted: np.ndarray,
    confusion: np.ndarray,
    names: Sequence[str],
    *,
    sizes: Sequence[float] | None = None,
    groups: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, np.ndarray]:
    """Return ``iIoU``, of several categories ``catiIoU``, and ``iIoU/<class>`` of each class, as shares; nan without an instance."""
    ious = instance_weighted_iou(counted, confusion, sizes=sizes)
    scores = {"iIoU": mean_present(ious)}
    if groups:
        scores["catiIoU"] = mean_present(instance_weighted_iou(counted, confusion, sizes=sizes, members=list(groups.values())))
    return scores | {f"iIoU/{name}": ious[..., i] for i, name in enumerate(names)}
