"""Pooling to a grid: as torch computes it, and with sizes that a traced network keeps open."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mmstreet.models.grid_pooling import average_in_grid, open_sizes, pool_to_rows

SIZES = [(7, 11), (16, 16), (5, 40), (1, 1), (3, 2)]


@pytest.mark.parametrize("size", SIZES)
def test_matrices_average_the_cells_that_torch_averages(size):
    x = torch.randn(2, 3, *size)
    for grid in ((1, 1), (2, 3), (6, 6), size):
        torch.testing.assert_close(average_in_grid(x, *grid), F.adaptive_avg_pool2d(x, grid))


def test_cells_are_square_and_never_finer_than_the_input():
    for size, rows, grid in (((10, 20), 4, (4, 8)), ((20, 10), 4, (4, 2)), ((3, 9), 8, (3, 9)), ((40, 2), 4, (4, 1)), ((2, 5), 1, (1, 2))):
        assert pool_to_rows(torch.zeros(1, 1, *size), rows).shape[2:] == grid, (size, rows)


class Pyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((3, 6))

    def forward(self, x):
        return pool_to_rows(x, 4).sum((2, 3)), self.pool(x), pool_to_rows(x, 4)


def test_a_traced_pyramid_follows_the_size_of_its_input():
    with open_sizes():
        traced = torch.jit.trace(Pyramid(), torch.randn(1, 2, 9, 12), check_trace=False)
    assert F.adaptive_avg_pool2d is torch.nn.functional.adaptive_avg_pool2d
    for size in SIZES:
        x = torch.randn(2, 2, *size)
        for found, expected in zip(traced(x), Pyramid()(x), strict=True):
            torch.testing.assert_close(found, expected)
