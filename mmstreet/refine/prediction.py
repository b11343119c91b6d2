"""What a refiner starts from: the image and the network's answer, checked once and in one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmstreet.files.argmax import first_argmax
from mmstreet.files.label_ids import check_label_ids
from mmstreet.labels import IGNORE_INDEX, TABLES, LabelTable, get_table

_SUM_TOLERANCE = 0.02
"""Half precision and bilinear resizing keep sums of probabilities well within this; logits and sigmoids do not."""

_THIN = {
    "pole",
    "traffic light",
    "traffic sign",
    "signsymbol",
    "fence",
    "person",
    "pedestrian",
    "rider",
    "bicyclist",
    "motorcycle",
    "bicycle",
}
_SLENDER = {"pole", "fence"}
_GROUPS = {label.name: label.group for table in TABLES.values() for label in table.labels}


@dataclass(frozen=True, eq=False)
class Prediction:
    """A label map and, where the network gave them, the probabilities behind it.

    Attributes:
        labels: uint8 ``[H, W]``; 255 is "no class" and stays so.
        class_ids: The ``K`` classes that the map holds, ascending int64. A refiner may return these and no others.
        probs: float32 ``[K, H, W]``, the probabilities of ``class_ids``, or ``None`` when only a label map is known.
    """

    labels: np.ndarray
    class_ids: np.ndarray
    probs: np.ndarray | None


def read_prediction(prediction: np.ndarray | torch.Tensor, *, size_hw: tuple[int, int], num_classes: int) -> Prediction:
    """Check a network's answer and bring it into one form.

    Args:
        prediction: Class probabilities, float ``[C, H, W]`` summing to 1 at every pixel, or a label map, integer ``[H, W]``.
        size_hw: Size of the image that it belongs to.
        num_classes: Number of classes ``C``.

    Raises:
        ValueError: If shape, size, range or sums are not as above.
    """
    array = prediction.detach().cpu().float().numpy() if _is_float_tensor(prediction) else np.asarray(prediction)
    if array.shape[-2:] != tuple(size_hw):
        raise ValueError(
            f"the prediction is {list(array.shape)} and the image {list(size_hw)} (height, width); resize the probabilities to the image"
        )
    if array.ndim == 2 and array.dtype.kind in "iu":
        return _from_labels(array, num_classes)
    if array.ndim != 3 or array.dtype.kind != "f" or len(array) != num_classes:
        raise ValueError(
            f"the prediction must be probabilities, float [{num_classes}, H, W], or a label map, integer [H, W], "
            f"got {array.dtype} {list(array.shape)}"
        )
    probs = array.astype(np.float32, copy=False)
    sums = probs.sum(0)
    if not np.isfinite(sums).all():
        at = np.argwhere(~np.isfinite(probs))[0].tolist()
        raise ValueError(f"the probabilities are not finite (nan or infinity), first of class {at[0]} at y={at[1]}, x={at[2]}")
    if np.abs(sums - 1).max() > _SUM_TOLERANCE or probs.min() < 0:
        raise ValueError(
            f"probabilities must be >= 0 and sum to 1 at every pixel, got values from {probs.min():.3g} and sums from {sums.min():.3g} to "
            f"{sums.max():.3g}; apply softmax to logits, or divide independent class scores by their sum"
        )
    winners = first_argmax(probs)
    class_ids = np.flatnonzero(np.bincount(winners.ravel()))
    return Prediction(winners, class_ids, probs if len(class_ids) == len(probs) else probs[class_ids])


def _is_float_tensor(prediction: object) -> bool:
    return isinstance(prediction, torch.Tensor) and prediction.is_floating_point()


def _from_labels(array: np.ndarray, num_classes: int) -> Prediction:
    check_label_ids(array, num_classes=num_classes, ignore_index=IGNORE_INDEX, where="the label map", advice="give train ids")
    found = np.unique(array)
    return Prediction(array.astype(np.uint8), found[found != IGNORE_INDEX].astype(np.int64), None)


def read_classes(classes: str | LabelTable | Sequence[str]) -> tuple[str, ...]:
    """Return class names in the order of their ids, from the names, a class table or the name of one.

    Raises:
        KeyError: If there is no such table.
    """
    return get_table(classes).names if isinstance(classes, str | LabelTable) else tuple(classes)


def ids_of(names: Sequence[str], *, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of named classes.

    Raises:
        ValueError: If a name is not among the classes.
    """
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise ValueError(f"class '{unknown[0]}' is not one of: {', '.join(classes)}")
    return tuple(classes.index(name) for name in names)


def thin_names(classes: Sequence[str]) -> tuple[str, ...]:
    """Return those of the classes that are thin or small on a street: poles, lights, signs, fences, people and two-wheelers."""
    return tuple(name for name in classes if name in _THIN)


def guarded_ids(names: str | Sequence[str], *, classes: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of the classes to protect or to freeze.

    Args:
        names: ``'thin'`` (:func:`thin_names`), ``'slender'`` for the poles and fences among them, or names of classes.
        classes: Class names in the order of their ids.

    Raises:
        ValueError: If ``names`` is another word, or a name is not among the classes.
    """
    return _ids_by_word(names, {"thin": _THIN.__contains__, "slender": _SLENDER.__contains__}, classes)


def rank_classes(classes: str | LabelTable | Sequence[str]) -> dict[str, int]:
    """Rank classes where masks overlap: 0 surfaces, 1 vehicles, 2 people and two-wheelers, 3 poles, lights and signs.

    A table's own groups decide; of a list of names, those that no class table knows rank as surfaces.
    """
    own = {label.name: label.group for label in classes.labels} if isinstance(classes, LabelTable) else {}
    ranks = {"vehicle": 1, "human": 2, "object": 3}
    return {
        name: 2 if name in ("motorcycle", "bicycle") else ranks.get(own.get(name, _GROUPS.get(name)), 0) for name in read_classes(classes)
    }


def prompted_ids(prompt_classes: str | Sequence[str], *, ranks: Mapping[str, int]) -> tuple[int, ...]:
    """Return the ids of the classes to ask a promptable source about.

    Args:
        prompt_classes: ``'objects'`` for classes of a rank above 0, ``'all'``, or names of classes.
        ranks: Of all classes, in the order of their ids; see :func:`rank_classes`.

    Raises:
        ValueError: If ``prompt_classes`` is another word, or a name is not among the classes.
    """
    return _ids_by_word(prompt_classes, {"objects": ranks.__getitem__, "all": lambda _: True}, list(ranks))


def _ids_by_word(names: str | Sequence[str], words: Mapping[str, Callable[[str], object]], classes: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of named classes, or of those that the rule of a word takes."""
    if not isinstance(names, str):
        return ids_of(names, classes=classes)
    if names not in words:
        raise ValueError(f"expected {', '.join(map(repr, words))} or a list of class names, got '{names}'")
    return tuple(i for i, name in enumerate(classes) if words[names](name))
