"""COCO's classes as torchvision numbers them and as MMDetection does, and which of them stand for a class of the street.

Torchvision's detectors answer with COCO's category ids, 1 to 90 with ten gaps, after the background at 0. MMDetection's answer with 80
classes without gaps and the background last, and regress and segment no background at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

NUM_IDS = 91
UNUSED_IDS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
"""Category ids that COCO planned and never published."""
USED_IDS = tuple(i for i in range(1, NUM_IDS) if i not in UNUSED_IDS)
STREET_IDS = {
    "person": 1,
    "pedestrian": 1,
    "rider": 1,
    "bicycle": 2,
    "car": 3,
    "motorcycle": 4,
    "bus": 6,
    "train": 7,
    "truck": 8,
    "traffic light": 10,
}
"""COCO's id for a class of a street table; COCO calls a rider a person."""


def scores_to_mmdet(tensor: Tensor) -> Tensor:
    """Reorder a classifier ``[91, …]`` to ``[81, …]``: the used classes, then the background."""
    _check_rows(tensor, NUM_IDS)
    return tensor[[*USED_IDS, 0]]


def boxes_to_mmdet(tensor: Tensor) -> Tensor:
    """Reorder a box regressor ``[4 · 91, …]`` to ``[4 · 80, …]``; the background's box means nothing and goes."""
    _check_rows(tensor, 4 * NUM_IDS)
    return tensor.reshape(NUM_IDS, 4, *tensor.shape[1:])[list(USED_IDS)].flatten(0, 1)


def masks_to_mmdet(tensor: Tensor) -> Tensor:
    """Reorder a mask predictor ``[91, …]`` to ``[80, …]``; the background's mask goes."""
    _check_rows(tensor, NUM_IDS)
    return tensor[list(USED_IDS)]


def pick_classes(state_dict: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Give a Mask R-CNN of COCO's 80 classes those of a street table, each with the weights of its COCO class.

    Args:
        state_dict: MMDetection's names and tensors, as the converter gives them.
        names: Classes in the order that the new model answers with.

    Returns:
        The same names; classifier, regressor and mask predictor have the rows of ``names``, the classifier the background's too.

    Raises:
        ValueError: If COCO has nothing for a name, or the tensors are not those of 80 classes.
    """
    unknown = [name for name in names if name not in STREET_IDS]
    if unknown:
        raise ValueError(f"COCO has no class for '{unknown[0]}'; it has: {', '.join(STREET_IDS)}")
    rows = torch.tensor([USED_IDS.index(STREET_IDS[name]) for name in names])
    background = torch.tensor([len(USED_IDS)])
    picked = {}
    for key, tensor in state_dict.items():
        layer = key.rpartition(".")[0].rpartition(".")[2]
        if layer == "fc_cls":
            _check_rows(tensor, len(USED_IDS) + 1)
            tensor = tensor[torch.cat([rows, background])]
        elif layer == "fc_reg":
            _check_rows(tensor, 4 * len(USED_IDS))
            tensor = tensor.reshape(len(USED_IDS), 4, *tensor.shape[1:])[rows].flatten(0, 1)
        elif layer == "conv_logits":
            _check_rows(tensor, len(USED_IDS))
            tensor = tensor[rows]
        picked[key] = tensor
    return picked


def _check_rows(tensor: Tensor, expected: int) -> None:
    if len(tensor) != expected:
        raise ValueError(f"expected {expected} rows, one or four for each class of COCO, but the tensor has shape {list(tensor.shape)}")
