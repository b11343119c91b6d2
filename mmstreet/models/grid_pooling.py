"""Average pooling to a grid whose cells follow the size of the input, also in files that take any size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F


def pool_to_rows(x: Tensor, rows: int) -> Tensor:
    """Average ``[B, C, H, W]`` over a grid of ``rows`` rows and as many columns as keep the cells square.

    A grid is never finer than the input. In a traced network both counts stay functions of the size of the input.
    """
    height, width = x.shape[2:]
    if not torch.jit.is_tracing():
        return F.adaptive_avg_pool2d(x, (min(rows, height), min(max(1, round(rows * width / height)), width)))
    height, width = torch.as_tensor(height), torch.as_tensor(width)
    columns = torch.minimum((rows * width.double() / height.double()).round().long().clamp(min=1), width)
    return average_in_grid(x, height.clamp(max=rows), columns)


def average_in_grid(x: Tensor, rows: int | Tensor, columns: int | Tensor) -> Tensor:
    """Compute ``adaptive_avg_pool2d(x, (rows, columns))`` as two matrix products, for sizes that a trace keeps open."""
    down, across = _weigh_cells(x.shape[2], rows, x), _weigh_cells(x.shape[3], columns, x)
    return down @ x @ across.transpose(0, 1)


@contextlib.contextmanager
def open_sizes() -> Iterator[None]:
    """Let every adaptive average pooling that is traced meanwhile follow the size of its input, which ONNX's own operators cannot."""
    original = F.adaptive_avg_pool2d

    def pool(x: Tensor, output_size: object) -> Tensor:
        rows, columns = output_size if isinstance(output_size, list | tuple) else (output_size, output_size)
        if (rows, columns) == (1, 1) or x.ndim != 4:
            return original(x, output_size)
        return average_in_grid(x, x.shape[2] if rows is None else rows, x.shape[3] if columns is None else columns)

    F.adaptive_avg_pool2d = pool
    try:
        yield
    finally:
        F.adaptive_avg_pool2d = original


def _weigh_cells(size: int | Tensor, count: int | Tensor, like: Tensor) -> Tensor:
    """Return ``[count, size]``: the weight of each line in each cell; cells may overlap by one line, as in torch."""
    first = torch.arange(count, device=like.device)
    start, end = first * size // count, ((first + 1) * size + count - 1) // count
    at = torch.arange(size, device=like.device)
    inside = (at >= start[:, None]) & (at < end[:, None])
    return inside.to(like.dtype) / (end - start)[:, None].to(like.dtype)
