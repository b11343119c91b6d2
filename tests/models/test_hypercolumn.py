from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mmstreet.models.hypercolumn import (
    dense_logits,
    interpolation,
    sample_class_balanced,
    sample_hard,
    sample_levels,
    sample_uniform,
)

LEVELS = ((3, 1), (4, 2), (5, 4), (6, 16))  # channels and pixels per cell


def maps(size_hw, levels=LEVELS, batch=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, c, -(-size_hw[0] // s), -(-size_hw[1] // s), generator=generator, dtype=dtype) for c, s in levels]


def perceptron(sizes, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(b, a, generator=generator, dtype=dtype) / a**0.5, torch.randn(b, generator=generator, dtype=dtype))
        for a, b in pairwise(sizes)
    ]


def plain_logits(feats, layers, size_hw):
    """The written-out way: the whole hypercolumn, then the layers as 1×1 convolutions."""
    out = torch.cat([F.interpolate(feat, size=size_hw, mode="bilinear", align_corners=False) for feat in feats], dim=1)
    for i, (weight, bias) in enumerate(layers):
        out = F.conv2d(F.relu(out) if i else out, weight[:, :, None, None], bias)
    return out


def every_pixel(size_hw, batch=2):
    return torch.arange(size_hw[0] * size_hw[1]).expand(batch, -1)


def test_one_row_by_hand():
    # Cells 4 pixels wide have their centres at 1.5 and 5.5: pixel 3 lies 1.5 of 4 past the first.
    columns = sample_levels([torch.tensor([[[[10.0, 20.0]]]])], torch.tensor([[0, 1, 3, 4, 7]]), (1, 8))
    assert columns.flatten().tolist() == [10, 10, 13.75, 16.25, 20]


@pytest.mark.parametrize("size_hw", [(32, 48), (64, 16), (20, 33)])
def test_sampled_columns_are_those_of_interpolated_maps(size_hw):
    height, width = size_hw
    levels = [(c, s) for c, s in LEVELS if height % s == width % s == 0] or LEVELS[:1]
    feats = [*maps(size_hw, levels), torch.randn(2, 3, 7, 6)]  # the last one's cells are no whole number of pixels
    columns = sample_levels(feats, every_pixel(size_hw), size_hw)
    expected = torch.cat([F.interpolate(feat, size=size_hw, mode="bilinear", align_corners=False) for feat in feats], dim=1)
    torch.testing.assert_close(columns, expected.flatten(2).transpose(1, 2), rtol=0, atol=2e-5)


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
def test_pixels_lie_where_the_original_layer_and_grid_sample_put_them(stride):
    size = 96
    positions = torch.arange(size)
    first, second, weight = interpolation(positions, size, size // stride)
    published = ((positions - (stride - 1) / 2) / stride).clamp(0, size // stride - 1)  # RandBI's t_x, its edges clamped
    torch.testing.assert_close(first + weight, published.double(), rtol=0, atol=1e-12)
    assert ((second - first) <= 1).all()
    feat = torch.randn(1, 3, size // stride, size // stride, dtype=torch.float64)
    pixels = torch.randint(size * size, (1, 200))
    grid = torch.stack([2 * (part.double() + 0.5) / size - 1 for part in (pixels % size, pixels // size)], dim=-1)[:, None]
    expected = F.grid_sample(feat, grid, mode="bilinear", padding_mode="border", align_corners=False)[:, :, 0].transpose(1, 2)
    torch.testing.assert_close(sample_levels([feat], pixels, (size, size)), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "cells", "stride"), [(37, 3, 16), (37, 19, 2), (90, 45, 2), (90, 12, 8), (90, 3, 32)])
def test_cells_that_overhang_the_image_keep_their_width(size, cells, stride):
    # A map that holds the pixel position of its cells' centres must give back each pixel's own position.
    ramp = ((torch.arange(cells) + 0.5) * stride - 0.5).view(1, 1, 1, cells).double()
    sampled = sample_levels([ramp], torch.arange(size)[None], (1, size)).flatten()
    expected = torch.arange(size).double().clamp(float(ramp.min()), float(ramp.max()))
    torch.testing.assert_close(sampled, expected, rtol=0, atol=1e-12)


def test_gradient_of_sampled_columns_is_the_numerical_one():
    feats = [feat.requires_grad_() for feat in maps((8, 12), ((2, 2), (1, 4)), batch=1, dtype=torch.float64)]
    pixels = torch.tensor([[0, 95, 40, 40]])
    assert torch.autograd.gradcheck(lambda *levels: sample_levels(levels, pixels, (8, 12)), feats)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradient_of_many_pixels_in_one_cell_is_summed_in_single_precision(dtype):
    feat = torch.zeros(1, 1, 1, 1, dtype=dtype, requires_grad=True)  # one cell, 4096 pixels: bfloat16 would stop counting at 256
    sample_levels([feat], every_pixel((64, 64), 1), (64, 64)).sum().backward()
    assert feat.grad.item() == 4096


@pytest.mark.parametrize("size_hw", [(64, 96), (45, 61), (16, 16)])
@pytest.mark.parametrize("sizes", [(18, 5), (18, 12, 5), (18, 12, 9, 5)])
def test_dense_logits_do_not_depend_on_the_tile_size(size_hw, sizes):
    feats, layers = maps(size_hw), perceptron(sizes)
    columns = sample_levels(feats, every_pixel(size_hw), size_hw)
    for i, (weight, bias) in enumerate(layers):
        columns = F.linear(F.relu(columns) if i else columns, weight, bias)
    expected = columns.transpose(1, 2).reshape(2, 5, *size_hw)
    for tile_size in (7, 16, 64, 256, None):
        logits = dense_logits(feats, layers, size_hw, tile_size=tile_size)
        torch.testing.assert_close(logits, expected, rtol=0, atol=1e-5)


def test_dense_logits_equal_the_written_out_way_in_double_precision():
    size_hw = (64, 96)
    feats, layers = maps(size_hw, dtype=torch.float64), perceptron((18, 12, 5), torch.float64)
    torch.testing.assert_close(dense_logits(feats, layers, size_hw, tile_size=24), plain_logits(feats, layers, size_hw), rtol=0, atol=1e-12)


def test_dense_logits_work_without_a_level_at_image_resolution_and_with_nothing_else():
    for levels in (((4, 4), (6, 16)), ((4, 1),), ((4, 1), (2, 1))):
        feats, layers = maps((32, 32), levels), perceptron((sum(c for c, _ in levels), 8, 3))
        torch.testing.assert_close(dense_logits(feats, layers, (32, 32)), plain_logits(feats, layers, (32, 32)), rtol=0, atol=1e-5)


def test_dense_logits_carry_the_gradient_of_the_written_out_way():
    size_hw, layers = (32, 48), perceptron((18, 12, 5))
    gradients = []
    for way in (dense_logits, plain_logits):
        feats = [feat.requires_grad_() for feat in maps(size_hw)]
        way(feats, layers, size_hw).square().mean().backward()
        gradients.append([feat.grad for feat in feats])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_dense_logits_and_samples_keep_half_precision(dtype):
    feats, layers = maps((32, 32)), perceptron((18, 12, 5))
    low = [feat.to(dtype) for feat in feats]
    logits = dense_logits(low, [(w.to(dtype), b.to(dtype)) for w, b in layers], (32, 32))
    assert logits.dtype == sample_levels(low, every_pixel((32, 32)), (32, 32)).dtype == dtype
    torch.testing.assert_close(logits.float(), plain_logits(feats, layers, (32, 32)), rtol=0.1, atol=0.15)


def test_zero_features_give_the_bias_everywhere():
    layers = perceptron((18, 5))
    logits = dense_logits([torch.zeros_like(feat) for feat in maps((20, 24))], layers, (20, 24))
    torch.testing.assert_close(logits, layers[0][1].view(1, 5, 1, 1).expand(2, 5, 20, 24))


class LargestTensor(TorchDispatchMode):
    """Remembers the most elements that any operation allocated."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.largest = max(self.largest, out.untyped_storage().nbytes() // out.element_size())
        return out


def test_no_step_of_dense_inference_is_larger_than_a_tile_or_the_result():
    size_hw, hidden = (128, 192), 64
    feats, layers = maps(size_hw, ((8, 2), (8, 4), (8, 16)), batch=1), perceptron((24, hidden, 5))
    with LargestTensor() as seen:
        dense_logits(feats, layers, size_hw, tile_size=32)
    assert seen.largest == 5 * 128 * 192  # the logits; a tile of the hidden layer has 64 * 32 * 32
    with LargestTensor() as seen:
        plain_logits(feats, layers, size_hw)
    assert seen.largest == hidden * 128 * 192


def labelled(counts, size_hw=(40, 50)):
    """A label map with ``counts[c]`` pixels of class ``c`` at random places, the rest 255."""
    flat = torch.full((size_hw[0] * size_hw[1],), 255)
    flat[: sum(counts)] = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))
    return flat[torch.randperm(len(flat), generator=torch.Generator().manual_seed(0))].view(size_hw)


def sample(name, labels, num):
    if name == "hard":
        return sample_hard(labels, num, lambda pixels: pixels.float())
    return {"uniform": sample_uniform, "class_balanced": sample_class_balanced}[name](labels, num)


SAMPLERS = pytest.mark.parametrize("name", ["uniform", "class_balanced", "hard"])


@SAMPLERS
def test_enough_pixels_are_drawn_once_each_and_never_an_ignored_one(name):
    labels = labelled([700, 50, 3])
    for num in (2, 100, 752, 753):
        pixels = sample(name, labels, num)
        assert len(pixels) == len(set(pixels.tolist())) == num
        assert (labels.flatten()[pixels] != 255).all()


@SAMPLERS
def test_too_few_pixels_are_drawn_repeatedly(name):
    labels = labelled([5, 2])
    pixels = sample(name, labels, 40)
    assert len(pixels) == 40
    assert set(pixels.tolist()) <= set((labels.flatten() != 255).nonzero().flatten().tolist())


@SAMPLERS
def test_image_without_labels_gives_no_pixel(name):
    assert sample(name, labelled([]), 10).tolist() == []


@SAMPLERS
def test_same_random_state_draws_the_same_pixels(name):
    labels, drawn = labelled([700, 50, 3]), []
    for state in (3, 3, 4):
        torch.manual_seed(state)
        drawn.append(sample(name, labels, 100).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_uniform_pixels_are_equally_likely():
    torch.manual_seed(0)
    labels = labelled([20], (5, 5))
    drawn = torch.cat([sample_uniform(labels, 10) for _ in range(2000)]).bincount(minlength=25)
    expected = 1000.0 * (labels.flatten() != 255)
    assert ((drawn - expected).abs() < 5 * 1000**0.5).all()


def test_balanced_classes_get_equal_shares_and_the_rest_is_uniform():
    torch.manual_seed(0)
    labels = labelled([1500, 300, 4])
    counts = torch.stack([labels.flatten()[sample_class_balanced(labels, 90)].bincount(minlength=3) for _ in range(200)]).float()
    assert (counts[:, 2] == 4).all()  # a share of 30, but the class has 4
    assert (counts[:, :2] >= 30).all()
    assert (counts.sum(dim=1) == 90).all()
    # 26 pixels are left over, drawn from 1470 and 270 remaining ones.
    torch.testing.assert_close(counts.mean(dim=0), torch.tensor([30 + 26 * 1470 / 1740, 30 + 26 * 270 / 1740, 4]), rtol=0, atol=0.5)


def test_balanced_classes_get_equal_shares_with_replacement_too():
    labels = labelled([15, 3, 1])
    pixels = sample_class_balanced(labels, 300)
    assert labels.flatten()[pixels].bincount().tolist() == [100, 100, 100]
    assert len(set(pixels.tolist())) == 19


def test_balanced_pixels_of_a_class_are_equally_likely():
    torch.manual_seed(0)
    labels = labelled([40, 8], (7, 7))
    drawn = torch.cat([sample_class_balanced(labels, 8) for _ in range(2000)]).bincount(minlength=49)
    for label, expected in ((0, 200), (1, 1000)):
        assert ((drawn[labels.flatten() == label] - expected).abs() < 5 * expected**0.5).all()


def test_hard_pixels_are_those_of_highest_score_and_some_easy_ones():
    torch.manual_seed(0)
    labels = labelled([900])
    loss = torch.rand(labels.numel())
    pixels = sample_hard(labels, 100, lambda candidates: loss[candidates], oversample=1000, share=0.6)
    hardest = set(torch.where(labels.flatten() != 255, loss, -1).topk(60).indices.tolist())
    assert hardest <= set(pixels.tolist())
    assert len(pixels) == len(set(pixels.tolist())) == 100


def test_hard_candidates_are_as_many_as_asked():
    asked = []
    sample_hard(labelled([900]), 100, lambda pixels: asked.append(len(pixels)) or pixels.float(), oversample=4)
    assert asked == [400]
