"""Counts of semantic segmentation: one int64 confusion matrix; :mod:`mmstreet.files.confusion_scores` has the scores that follow.

A confusion matrix here is square, int64 ``[C + 1, C + 1]``, rows truth, columns prediction. The first ``C`` rows and columns are the
scored classes. Row ``C`` is the background: pixels that are labelled, but as none of the classes. Column ``C`` is every prediction that
is none of the classes. Neither is a class: they enter the scores only as false alarms and as misses. Ignored pixels are nowhere.
Matrices of images, batches or processes are added; nothing is divided before the sum is complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mmstreet.files.label_ids import check_label_ids


def validate_maps(labels: torch.Tensor, preds: torch.Tensor, *, num_classes: int, ignore_index: int = 255) -> None:
    """Check that two maps can be compared.

    Raises:
        ValueError: If the shapes differ, the maps do not hold integers, or ``ignore_index`` is the id of a class or of the background.
    """
    if labels.shape != preds.shape:
        raise ValueError(
            f"the labels are {tuple(labels.shape)} and the prediction is {tuple(preds.shape)}; "
            "load the labels at the size of the original image (after Resize in the test pipeline)"
        )
    if any(x.is_floating_point() or x.is_complex() or x.dtype == torch.bool for x in (labels, preds)):
        raise ValueError(f"class ids must be integers, got labels of {labels.dtype} and a prediction of {preds.dtype}")
    if 0 <= ignore_index <= num_classes:
        raise ValueError(f"ignore_index={ignore_index} is also the id of a class or of the background; use 255")


def confusion_matrix(
    labels: torch.Tensor, preds: torch.Tensor, *, num_classes: int, ignore_index: int = 255, background: bool = False
) -> torch.Tensor:
    """Count the pixels of every pair of true and predicted class.

    Args:
        labels: True class ids, integers of any shape, each in ``[0, C)``, ``ignore_index``, or ``C`` where ``background`` is set.
        preds: Predicted ids of the same shape, not negative; ids from ``C`` on count as "none of the classes".
        num_classes: Number of scored classes ``C``.
        ignore_index: Label of pixels that are not counted.
        background: Whether the true id ``C`` stands for the background; otherwise it is an error like any other stray id.

    Returns:
        int64 ``[C + 1, C + 1]`` on the labels' device; all zero when no pixel is valid.

    Raises:
        ValueError: If the maps do not fit together, a prediction is negative, or a label is out of range; the message gives the id, its
            first pixel and how many pixels have it.

    Example:
        >>> confusion_matrix(torch.tensor([0, 0, 1, 255]), torch.tensor([0, 1, 2, 0]), num_classes=2)
        tensor([[1, 1, 0],
                [0, 0, 1],
                [0, 0, 0]])
    """
    validate_maps(labels, preds, num_classes=num_classes, ignore_index=ignore_index)
    size, allowed = num_classes + 1, num_classes + background
    if not labels.numel():
        return torch.zeros((size, size), dtype=torch.int64, device=labels.device)
    ids, ignored = labels, ignore_index
    lowest, highest = _range(ids)
    if lowest < 0 or highest > max(255, size):  # the histogram below would have negative or very many rows
        ids, ignored, highest = torch.where(ids == ignore_index, size, ids.to(torch.int64)), size, size
        check_label_ids(labels, num_classes=allowed, ignore_index=ignore_index)
    rows = max(highest + 1, size)
    lowest, highest = _range(preds)
    if lowest < 0:
        raise ValueError(f"the prediction holds the negative id {lowest}; expected class ids from 0 on")
    if highest > num_classes:
        preds = preds.clamp(max=num_classes)
    # Counting every id and cutting afterwards costs a tenth of selecting the valid pixels first, and pairs of two bytes half of eight.
    kind = torch.int16 if rows * size <= 2**15 else torch.int64
    pairs = ids.to(kind).mul(size).add_(preds.to(kind))
    counts = torch.bincount(pairs.flatten(), minlength=rows * size).view(rows, size)
    stray = counts.sum(1) > 0
    stray[:allowed] = False
    if 0 <= ignored < rows:
        stray[ignored] = False
    if stray.any():
        check_label_ids(labels, num_classes=allowed, ignore_index=ignore_index)
    return counts[:size].clone()


def _range(ids: torch.Tensor) -> tuple[int, int]:
    if not ids.is_cpu:
        return tuple(map(int, ids.aminmax()))
    array = ids.detach().numpy()  # numpy looks twice in a fifth of the time
    return int(array.min()), int(array.max())


def count_pairs(
    labels: torch.Tensor, preds: torch.Tensor, *, num_classes: int, ignore_index: int = 255, background: bool = False
) -> torch.Tensor:
    """Count as :func:`confusion_matrix` does, for an accelerator: nothing waits for it, and wrong ids are counted instead of refused.

    Args:
        labels: As there, and so are the others.

    Returns:
        int64 ``[(C + 1)² + 1]``: the matrix, row by row, and the number of pixels that :func:`confusion_matrix` would refuse.

    Raises:
        ValueError: If the maps do not fit together.
    """
    validate_maps(labels, preds, num_classes=num_classes, ignore_index=ignore_index)
    ids, preds, size = labels.flatten().long(), preds.flatten().long(), num_classes + 1
    known = (ids >= 0) & (ids < num_classes + background)
    place = torch.where(known, ids * size + preds.clamp(0, num_classes), size * size)
    place = torch.where(ids == ignore_index, size * size + 1, place)
    place = torch.where(preds < 0, size * size, place)
    return add_by_place(place, size * size + 2)[:-1]


def add_by_place(place: torch.Tensor, bins: int, values: torch.Tensor | None = None) -> torch.Tensor:
    """Add up values by their place, as ``torch.bincount`` does, without asking the device which the last place is.

    Args:
        place: int64 ``[N]``, each in ``[0, bins)``.
        bins: Number of places.
        values: ``[N]``; ``None`` counts.

    Returns:
        int64 ``[bins]`` of counts, else of the values' type.
    """
    # Neighbours count into different copies: additions to one address would come one after another.
    copies = 64
    place = place + torch.arange(len(place), device=place.device) % copies * bins
    values = torch.ones_like(place) if values is None else values
    return values.new_zeros(copies * bins).scatter_add_(0, place, values).view(copies, bins).sum(0)


def boundary_confusion(
    labels: torch.Tensor,
    preds: torch.Tensor,
    *,
    num_classes: int,
    radius_px: int = 3,
    ignore_index: int = 255,
    background: bool = False,
) -> torch.Tensor:
    """Count the pixels near class boundaries, as a confusion matrix whose IoU per class is the boundary IoU.

    The boundary of a class is the band of its own pixels that lie within ``radius_px`` of another class, a distance along rows and columns
    (Cheng et al., Boundary IoU, CVPR 2021, with squares in place of the dilated contour). Truth and prediction each have their own band. A
    true pixel outside the true band counts as no class, and so does a predicted one outside the predicted band; the IoU of the bands
    follows from the same counts as that of the classes. Neither the edge of the image nor that of an ignored region is a boundary, and
    predictions on ignored pixels make none.

    Args:
        labels: True class ids, integers ``[H, W]``; see :func:`confusion_matrix`.
        preds: Predicted ids of the same shape.
        num_classes: Number of scored classes ``C``.
        radius_px: Width of the bands, at least 1.
        ignore_index: Label of pixels that are not counted.
        background: Whether the true id ``C`` stands for the background.

    Returns:
        int64 ``[C + 1, C + 1]``; the last row and column hold "not in a band". The matrices of several images are added.

    Raises:
        ValueError: As :func:`confusion_matrix`; if the maps are not ``[H, W]``; if ``radius_px`` is smaller than 1.

    Example:
        >>> targets, predictions = torch.tensor([[0, 0, 0, 1, 1, 1]]), torch.tensor([[0, 0, 1, 1, 1, 1]])
        >>> boundary_confusion(targets, predictions, num_classes=2, radius_px=1).tolist()
        [[0, 1, 0], [0, 0, 1], [1, 0, 3]]
    """
    if labels.ndim != 2:
        raise ValueError(f"boundaries are found on one map [H, W] at a time, got {tuple(labels.shape)}")
    if radius_px < 1:
        raise ValueError(f"radius_px must be at least 1, got {radius_px}")
    confusion_matrix(labels, preds, num_classes=num_classes, ignore_index=ignore_index, background=background)  # refuses what is wrong
    valid = labels != ignore_index
    in_band = [torch.where(_near_other(ids, valid, radius_px), ids, num_classes) for ids in (labels, preds)]
    return confusion_matrix(
        torch.where(valid, in_band[0], ignore_index), in_band[1], num_classes=num_classes, ignore_index=ignore_index, background=True
    )


def _near_other(ids: torch.Tensor, valid: torch.Tensor, radius_px: int) -> torch.Tensor:
    """Tell which pixels have a valid pixel of another id in the square around them, bool ``[H, W]``."""
    ids = ids.float()
    highest = _max_around(torch.where(valid, ids, -torch.inf), radius_px)
    lowest = -_max_around(torch.where(valid, -ids, -torch.inf), radius_px)
    return (highest > ids) | (lowest < ids)


def _max_around(values: torch.Tensor, radius_px: int) -> torch.Tensor:
    for kernel in ((2 * radius_px + 1, 1), (1, 2 * radius_px + 1)):
        padding = tuple(side // 2 for side in kernel)
        values = torch.nn.functional.max_pool2d(values[None, None], kernel, stride=1, padding=padding)[0, 0]
    return values


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Put the file into the message of an error about its labels."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
