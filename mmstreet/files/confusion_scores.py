"""Scores of semantic segmentation from confusion matrices: one matrix, or any number of them stacked in front.

A matrix is ``[C + 1, C + 1]``, rows truth, columns prediction, as :mod:`mmstreet.metrics.functional` counts it: row ``C`` is the
background, column ``C`` every prediction that is none of the classes. Every function takes ``[..., C + 1, C + 1]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

CONVENTIONS = ("mmseg", "bdd100k")
COMMON_SHARE = 5.0
"""Classes with at least this share of the pixels, in per cent, are 'common'."""
RARE_SHARE = 0.5
"""Classes with less than this share of the pixels, in per cent, are 'rare'; the ones between are 'medium'."""


def compute_scores(
    confusion: np.ndarray,
    names: Sequence[str],
    *,
    groups: Mapping[str, Sequence[int]] | None = None,
    frequencies: Mapping[str, Sequence[int]] | None = None,
    convention: str = "mmseg",
) -> dict[str, np.ndarray]:
    """Compute every scalar of a semantic evaluation.

    Args:
        confusion: Counts ``[..., C + 1, C + 1]``.
        names: The ``C`` class names.
        groups: Class ids of each category; without them there is no ``catIoU``.
        frequencies: Class ids of the common, medium and rare classes, see :func:`group_by_share`; without them there are no means over
            them.
        convention: See :func:`iou_per_class`.

    Returns:
        Share in ``[0, 1]`` by the scalar's name, float64 ``[...]``; nan where nothing can be measured.
    """
    iou, acc = iou_per_class(confusion, convention=convention), recall_per_class(confusion)
    scores = {
        "mIoU": mean_present(iou),
        "aAcc": pixel_accuracy(confusion),
        "mAcc": mean_present(acc),
        "fwIoU": frequency_weighted_iou(confusion),
    }
    if groups:
        scores["catIoU"] = mean_present(iou_per_class(merge_classes(confusion, list(groups.values())), convention=convention))
    scores |= {f"IoU_{kind}": mean_present(iou, ids) for kind, ids in (frequencies or {}).items() if ids}
    return scores | {f"{kind}/{name}": values[..., i] for kind, values in (("IoU", iou), ("Acc", acc)) for i, name in enumerate(names)}


def group_by_share(confusion: np.ndarray) -> dict[str, list[int]]:
    """Return the ids of the ``'common'``, ``'medium'`` and ``'rare'`` classes, by their share of the pixels of one matrix.

    Classes that are not labelled there are in none.
    """
    shares = 100 * confusion[:-1].sum(1) / max(1, confusion.sum())
    kinds = {"common": shares >= COMMON_SHARE, "rare": (shares < RARE_SHARE) & (shares > 0)}
    kinds["medium"] = (shares > 0) & ~kinds["common"] & ~kinds["rare"]
    return {kind: np.flatnonzero(kinds[kind]).tolist() for kind in ("common", "medium", "rare")}


def drop_background(confusion: np.ndarray) -> np.ndarray:
    """Return the matrix over the labelled classes only: the background row becomes zero."""
    return np.concatenate([confusion[..., :-1, :], np.zeros_like(confusion[..., -1:, :])], -2)


def merge_classes(confusion: np.ndarray, members: Sequence[Iterable[int]]) -> np.ndarray:
    """Add up classes into groups, as if both maps held group ids.

    Args:
        confusion: Counts ``[..., C + 1, C + 1]``.
        members: Class ids of each of the ``G`` groups; classes in none join the background row and the column of no class.

    Returns:
        ``[..., G + 1, G + 1]`` of the same type.
    """
    group_of = np.full(confusion.shape[-1], len(members))
    for group, ids in enumerate(members):
        group_of[list(ids)] = group
    assign = np.eye(len(members) + 1, dtype=confusion.dtype)[group_of]
    return assign.T @ confusion @ assign


def iou_per_class(confusion: np.ndarray, *, convention: str = "mmseg") -> np.ndarray:
    """Intersection over union of every class.

    Args:
        confusion: Counts ``[..., C + 1, C + 1]``.
        convention: Which classes are absent. ``'mmseg'``: those neither labelled nor predicted, so a class that is only predicted
            scores 0. ``'bdd100k'``: those not labelled, as in the means of the BDD100K toolkit (``bdd100k/eval/seg.py``).

    Returns:
        float64 ``[..., C]`` in ``[0, 1]``, nan for absent classes.

    Raises:
        ValueError: If the convention is unknown.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"unknown convention '{convention}'; choose one of {', '.join(CONVENTIONS)}")
    hits, truth, predicted = _class_counts(confusion)
    iou = _ratio(hits, truth + predicted - hits)
    return np.where(truth > 0, iou, np.nan) if convention == "bdd100k" else iou


def recall_per_class(confusion: np.ndarray) -> np.ndarray:
    """Share of each class's true pixels predicted as it, mmseg's "Acc"; float64 ``[..., C]``, nan where a class is not labelled."""
    hits, truth, _ = _class_counts(confusion)
    return _ratio(hits, truth)


def precision_per_class(confusion: np.ndarray) -> np.ndarray:
    """Share of each class's predicted pixels that are right, the BDD100K toolkit's "Acc"; ``[..., C]``, nan where never predicted."""
    hits, _, predicted = _class_counts(confusion)
    return _ratio(hits, predicted)


def pixel_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of the counted pixels that are right; a background pixel is right when predicted as no class. Nan without pixels."""
    return _ratio(np.trace(confusion, axis1=-2, axis2=-1), confusion.sum((-2, -1)))


def frequency_weighted_iou(confusion: np.ndarray) -> np.ndarray:
    """Mean IoU weighted by the true pixels of each class; nan when no class is labelled.

    This is the "frequency weighted IU" of Long et al. (FCN, CVPR 2015). Cityscapes' iIoU, which weights each pixel by the size of its
    instance, is another score; see :mod:`mmstreet.metrics.instance_weighted`.
    """
    _, truth, _ = _class_counts(confusion)
    return _ratio((np.nan_to_num(iou_per_class(confusion)) * truth).sum(-1), truth.sum(-1))


def mean_present(values: np.ndarray, ids: Sequence[int] | None = None) -> np.ndarray:
    """Mean over the values of the last axis that are not nan, of all classes or of ``ids``; nan when none is left."""
    values = np.asarray(values, np.float64)[..., list(ids) if ids is not None else slice(None)]
    return _ratio(np.nansum(values, -1), (~np.isnan(values)).sum(-1))


def _class_counts(confusion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hits, true pixels and predicted pixels of the classes, ``[..., C]`` each."""
    return np.diagonal(confusion, axis1=-2, axis2=-1)[..., :-1], confusion[..., :-1, :].sum(-1), confusion[..., :-1].sum(-2)


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)[()]
