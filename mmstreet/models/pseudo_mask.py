"""Pseudo-masks on plain tensors: from scores of an image's patches to the most similar class that it shows, in four views."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Scorer = Callable[[Tensor], Tensor]
"""From RGB images, float ``[B, 3, H, W]`` in 0…255, to scores, float ``[B, C, h, w]``."""


def pseudo_labels(
    scores: Tensor,
    present: Tensor,
    size_hw: tuple[int, int],
    *,
    valid_hw: list[tuple[int, int]] | None = None,
    ignore_index: int = 255,
) -> Tensor:
    """Give each pixel the best scored class among those that its image shows.

    Scores are interpolated bilinearly first; absent classes are out of the question at every pixel, whatever the sign of the scores.

    Args:
        scores: Similarity of each place to each class, float ``[B, C, h, w]``.
        present: Which classes each image shows, bool ``[B, C]``.
        size_hw: Height and width of the result, px.
        valid_hw: Height and width of each image without its padding at the right and below; None: there is none.
        ignore_index: Label of the padding, and of every pixel of an image that shows no class.

    Returns:
        Class ids, int64 ``[B, H, W]``, without a graph.

    Raises:
        ValueError: If ``present`` is not shaped ``[B, C]``.

    Example:
        >>> scores = torch.tensor([[[[-0.3]], [[-0.2]], [[0.4]]]])  # the third class is not in the image
        >>> pseudo_labels(scores, torch.tensor([[True, True, False]]), (1, 2))
        tensor([[[1, 1]]])
    """
    if tuple(present.shape) != tuple(scores.shape[:2]):
        raise ValueError(f"present must be [B, C] = {list(scores.shape[:2])}, one place per class, got {list(present.shape)}")
    present = present.to(scores.device).bool()
    with torch.no_grad():
        scores = F.interpolate(scores.float(), size_hw, mode="bilinear", align_corners=False)
        # after the interpolation, which would make nan of infinite scores
        labels = scores.masked_fill(~present[:, :, None, None], -torch.inf).argmax(1)
        labels = torch.where(present.any(1)[:, None, None], labels, ignore_index)
    for label, (height, width) in zip(labels, valid_hw or ()):
        label[height:] = ignore_index
        label[:, width:] = ignore_index
    return labels


def sample_patch(view_hw: tuple[int, int], patch_hw: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Sample the place of a patch with torch's global generator; every offset is possible, the last one too.

    Returns:
        Offset ``(y, x)`` and size ``(h, w)``; a patch larger than the view is cut to it.
    """
    size = tuple(min(patch, side) for patch, side in zip(patch_hw, view_hw))
    offset = tuple(int(torch.randint(0, side - length + 1, ())) for side, length in zip(view_hw, size))
    return offset, size


def enlarge(images: Tensor, factor: float) -> Tensor:
    """Resize images ``[B, 3, H, W]`` bilinearly by a factor of both sides, which are rounded down."""
    size = tuple(max(1, int(side * factor)) for side in images.shape[2:])
    return images if size == tuple(images.shape[2:]) else F.interpolate(images, size, mode="bilinear", align_corners=False)


def four_views(score: Scorer, images: Tensor, present: Tensor) -> dict[str, Tensor]:
    """Make the pseudo-masks of figure 3 of the paper: whole, enlarged twice, quarters joined, and quarters enlarged.

    Args:
        score: The scorer.
        images: RGB, float ``[B, 3, H, W]`` in 0…255, at least 2 px a side.
        present: Which classes each image shows, bool ``[B, C]``.

    Returns:
        ``'whole'``, ``'resized'``, ``'quarters'`` and ``'both'``, class ids int64 ``[B, H, W]`` each.
    """

    def masks(pictures: Tensor, factor: float) -> Tensor:
        return pseudo_labels(score(enlarge(pictures, factor)), present, tuple(pictures.shape[2:]))

    def joined(factor: float) -> Tensor:
        height, width = images.shape[2] // 2, images.shape[3] // 2
        halves = [rows.split([width, images.shape[3] - width], 3) for rows in images.split([height, images.shape[2] - height], 2)]
        return torch.cat([torch.cat([masks(quarter, factor) for quarter in row], 2) for row in halves], 1)

    return {"whole": masks(images, 1), "resized": masks(images, 2), "quarters": joined(1), "both": joined(2)}
