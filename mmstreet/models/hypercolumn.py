"""Hypercolumns: which pixels to look at, their features from several levels, and every pixel's scores without ever building the map.

A hypercolumn is what all levels of a backbone say about one pixel, one below the other. Training reads it at a small
sample of pixels (Bansal et al., *PixelNet*, 2017). Dense inference does not need it: bilinear interpolation is linear
and treats channels alike, so the first layer may come first, ``W·h(x) = sum over levels of interpolate(W_l·F_l)(x)``.

Geometry, the same in both: the centre of pixel ``x`` lies at ``(x + 0.5) / s - 0.5`` on a level whose cells are ``s``
pixels wide, and outside the first and last centre the border value holds. Where the cells fill the image this is
``F.interpolate(mode='bilinear', align_corners=False)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

TILE_BYTES = {"cpu": 2 * 2**20, "gpu": 64 * 2**20}
"""Size of the widest layer's output on one tile when no tile size is given: a processor's cache, or enough to fill a GPU."""


def sample_uniform(labels: Tensor, num: int, *, ignore_index: int = 255) -> Tensor:
    """Sample labelled pixels of one image, all equally likely.

    Args:
        labels: Class ids, int64 ``[H, W]``.
        num: Number of pixels to sample.
        ignore_index: Label of pixels that are never sampled.

    Returns:
        Flat indices ``row * W + column``, int64 ``[num]``: without replacement where the image has at least ``num``
        labelled pixels, with replacement where it has fewer, empty where it has none.
    """
    valid = (labels.flatten() != ignore_index).nonzero().squeeze(1)
    if len(valid) >= num:
        return valid[torch.randperm(len(valid), device=valid.device)[:num]]
    if len(valid) == 0:
        return valid
    return valid[torch.randint(len(valid), (num,), device=valid.device)]


def sample_class_balanced(labels: Tensor, num: int, *, ignore_index: int = 255) -> Tensor:
    """Sample labelled pixels of one image, equally many of each class that is present.

    Classes with fewer pixels than their share give all that they have, and the rest of the sample is sampled uniformly
    from the labelled pixels that remain. An image with fewer than ``num`` labelled pixels gives equal shares sampled with
    replacement. Arguments and result are those of :func:`sample_uniform`.
    """
    flat = labels.flatten()
    pixels = (flat != ignore_index).nonzero().squeeze(1)
    if len(pixels) == 0:
        return pixels
    # In random order first, so that after a stable sort by class the first ones of a class are a random sample of it.
    pixels = pixels[torch.randperm(len(pixels), device=pixels.device)]
    classes, order = flat[pixels].sort(stable=True)
    pixels = pixels[order]
    counts = classes.unique_consecutive(return_counts=True)[1]
    starts = counts.cumsum(0) - counts
    if len(pixels) < num:
        chosen = torch.randperm(len(counts), device=pixels.device)[torch.arange(num, device=pixels.device) % len(counts)]
        return pixels[starts[chosen] + torch.randint(2**40, (num,), device=pixels.device) % counts[chosen]]
    in_share = torch.arange(len(pixels), device=pixels.device) - starts.repeat_interleave(counts) < num // len(counts)
    rest = pixels[~in_share]
    refill = rest[torch.randperm(len(rest), device=rest.device)[: num - int(in_share.sum())]]
    return torch.cat([pixels[in_share], refill])


def sample_hard(
    labels: Tensor,
    num: int,
    score: Callable[[Tensor], Tensor],
    *,
    oversample: int = 3,
    share: float = 0.75,
    ignore_index: int = 255,
) -> Tensor:
    """Sample labelled pixels of one image, most of them where the score is high.

    ``oversample * num`` uniform candidates are scored; the highest ``share * num`` are kept and the others are taken at
    random from the remaining candidates, so that easy pixels stay in the sample. The scheme is the one that PointRend
    (Kirillov et al., CVPR 2020) uses for uncertain points.

    Args:
        labels: Class ids, int64 ``[H, W]``.
        num: Number of pixels to sample.
        score: Maps flat indices int64 ``[N]`` to how hard each pixel is, float ``[N]``, e.g. its loss.
        oversample: Candidates per pixel sampled, at least 1.
        share: Part of the sample that is chosen by score, in ``[0, 1]``.
        ignore_index: Label of pixels that are never sampled.

    Returns:
        As :func:`sample_uniform`.
    """
    labelled = int((labels != ignore_index).sum())
    candidates = sample_uniform(labels, max(num, min(oversample * num, labelled)), ignore_index=ignore_index)
    if len(candidates) <= num:
        return candidates
    order = score(candidates).argsort(descending=True)
    top = int(share * num)
    rest = order[top:]
    return candidates[torch.cat([order[:top], rest[torch.randperm(len(rest), device=rest.device)[: num - top]]])]


def interpolation(positions: Tensor, size: int, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Find the two cells beside each pixel along one axis, and how much the second one counts.

    A cell is as wide as the power of two that cuts ``size`` pixels into ``cells``, the last one perhaps overhanging (the
    usual backbone: stride 16 makes 3 cells of 37 pixels), else ``size / cells``.

    Args:
        positions: Pixel indices, int64 of any shape.
        size: Pixels along this axis.
        cells: Cells of the level along this axis.

    Returns:
        First cell, second cell (int64), and weight of the second in ``[0, 1)`` (float64), each shaped as ``positions``.
    """
    width = 1 << max((size - 1) // cells, 0).bit_length()  # smallest power of two with at most `cells` cells
    exact = width if -(-size // width) == cells else size / cells
    centre = ((positions.double() + 0.5) / exact - 0.5).clamp_(0, cells - 1)
    first = centre.floor()
    return first.long(), (first.long() + 1).clamp_(max=cells - 1), centre - first


def sample_levels(feats: Sequence[Tensor], pixels: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Read the hypercolumns of some pixels.

    Cost and memory grow with the number of pixels, but for one copy of each map with its channels last: so laid out, a
    cell's channels are read in one go. The gradient reaches the feature maps; half precision stays.

    Args:
        feats: Feature maps, float ``[B, C_l, H_l, W_l]`` each.
        pixels: Flat indices ``row * W + column`` into the image, int64 ``[B, N]``.
        size_hw: Height and width of the image in pixels.

    Returns:
        Float ``[B, N, sum of C_l]``, levels in the order given.
    """
    height, width = size_hw
    rows, columns = pixels.div(width, rounding_mode="floor"), pixels % width
    sampled = []
    for feat in feats:
        batch, channels, cells_y, cells_x = feat.shape
        cells = feat.permute(0, 2, 3, 1).reshape(-1, channels)
        image = cells_y * cells_x * torch.arange(batch, device=pixels.device)[:, None]  # first cell of each image
        if (cells_y, cells_x) == (height, width):
            sampled.append(cells.index_select(0, (image + pixels).flatten()))
            continue
        y0, y1, wy = interpolation(rows, height, cells_y)
        x0, x1, wx = interpolation(columns, width, cells_x)
        corners = torch.stack([y0 * cells_x + x0, y0 * cells_x + x1, y1 * cells_x + x0, y1 * cells_x + x1], dim=2) + image[..., None]
        weights = torch.stack([(1 - wy) * (1 - wx), (1 - wy) * wx, wy * (1 - wx), wy * wx], dim=2)  # [B, N, 4]
        # In single precision at least: hundreds of pixels add to the gradient of one coarse cell, and bfloat16 loses 8 % of that sum.
        exact = torch.promote_types(feat.dtype, torch.float32)
        bags = F.embedding_bag(corners.flatten(0, 1), cells.to(exact), mode="sum", per_sample_weights=weights.to(exact).flatten(0, 1))
        sampled.append(bags.to(feat.dtype))
    return torch.cat(sampled, dim=1).view(*pixels.shape, -1)


def dense_logits(
    feats: Sequence[Tensor],
    layers: Sequence[tuple[Tensor, Tensor]],
    size_hw: tuple[int, int],
    *,
    tile_size: int | None = None,
) -> Tensor:
    """Apply a multi-layer perceptron to the hypercolumn of every pixel, tile by tile.

    The first layer is applied to each level at that level's own resolution; what is interpolated and added is its
    output. Memory beyond input and result is a few tiles of the widest layer, at any image size.

    Args:
        feats: Feature maps, float ``[B, C_l, H_l, W_l]`` each.
        layers: Weight ``[out, in]`` and bias ``[out]`` of each layer, ReLU between them; the first takes the levels in
            the order of ``feats``.
        size_hw: Height and width of the image in pixels.
        tile_size: Side of a tile in pixels; ``None`` takes what :func:`auto_tile_size` says. The logits do not depend
            on it, up to rounding.

    Returns:
        Logits, float ``[B, num_classes, H, W]``.
    """
    tile = tile_size or auto_tile_size(max(len(bias) for _, bias in layers), feats[0].device)
    first_weight, first_bias = layers[0]
    levels = list(zip(feats, first_weight.split([feat.shape[1] for feat in feats], dim=1)))
    fine = [(feat, weight) for feat, weight in levels if feat.shape[2:] == torch.Size(size_hw)]
    coarse = [(feat, weight) for feat, weight in levels if feat.shape[2:] != torch.Size(size_hw)]
    down, across = (
        [
            (start, [_interpolation_matrix(start, tile, size, feat.shape[axis], feat) for feat, _ in coarse])
            for start in range(0, size, tile)
        ]
        for axis, size in ((2, size_hw[0]), (3, size_hw[1]))
    )
    logits = feats[0].new_empty(len(feats[0]), len(layers[-1][1]), *size_hw)
    for image, (top, over_y), (left, over_x) in product(range(len(logits)), down, across):
        part = logits[image, :, top : top + tile, left : left + tile]
        hidden = first_bias
        for feat, weight in fine:
            window = feat[image, :, top : top + tile, left : left + tile]
            hidden = torch.addmm(hidden, window.flatten(1).t(), weight.t())
        hidden = hidden.expand(part[0].numel(), -1).reshape(part.shape[1], -1)  # [h, w * K]
        if coarse:
            projected = []
            for (feat, weight), (rows, _), (columns, matrix) in zip(coarse, over_y, over_x):
                window = feat[image, :, rows, columns]
                cells = F.linear(window.flatten(1).t(), weight).view(*window.shape[1:], -1)
                projected.append((matrix @ cells).flatten(1))  # [cells_y, w * K]
            hidden = torch.addmm(hidden, torch.cat([matrix for _, matrix in over_y], dim=1), torch.cat(projected))
        hidden = hidden.view(*part.shape[1:], -1)
        for weight, bias in layers[1:]:
            hidden = F.linear(F.relu(hidden), weight, bias)
        part.copy_(hidden.permute(2, 0, 1))
    return logits


def auto_tile_size(channels: int, device: torch.device) -> int:
    """Return the side in pixels of a tile on which ``channels`` float32 maps fill :data:`TILE_BYTES`: a multiple of 16."""
    num_bytes = TILE_BYTES["cpu" if device.type == "cpu" else "gpu"]
    return max(16, int((num_bytes / 4 / channels) ** 0.5) // 16 * 16)


def _interpolation_matrix(start: int, tile: int, size: int, cells: int, like: Tensor) -> tuple[slice, Tensor]:
    """Cells that the pixels of a tile touch along one axis, and the matrix ``[pixels, cells touched]`` that interpolates."""
    first, second, weight = interpolation(torch.arange(start, min(start + tile, size)), size, cells)
    low, high = int(first[0]), int(second[-1]) + 1
    matrix = weight.new_zeros(len(weight), high - low)
    matrix.scatter_add_(1, (first - low)[:, None], (1 - weight)[:, None])
    matrix.scatter_add_(1, (second - low)[:, None], weight[:, None])
    return slice(low, high), matrix.to(like)
