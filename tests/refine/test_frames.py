"""Into SAM's square and out of it: nothing moves, and masks come out as torch would resize them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmstreet.refine.frames import EMPTY_LOGIT, Frame

SIZES = [(1024, 2048), (720, 1280), (360, 480), (480, 360), (37, 211), (1, 1), (64, 64)]


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("size_hw", SIZES)
def test_coordinates_come_back(size_hw, squeeze):
    frame = Frame.fit(size_hw, side=1024, squeeze=squeeze)
    corners = np.array([[0, 0, size_hw[1], size_hw[0]], [0.25 * size_hw[1], 0.5 * size_hw[0], size_hw[1], size_hw[0]]])
    inside = frame.to_frame(corners)
    np.testing.assert_allclose(inside[0], [0, 0, *frame.inner_hw[::-1]], rtol=1e-6)
    np.testing.assert_allclose(frame.to_image(inside), corners, rtol=1e-5)
    assert max(frame.inner_hw) == 1024
    assert frame.inner_hw == ((1024, 1024) if squeeze else frame.inner_hw)


def test_sam_keeps_proportions_and_sam_2_does_not():
    assert Frame.fit((1024, 2048), side=1024, squeeze=False).inner_hw == (512, 1024)
    assert Frame.fit((720, 1280), side=1024, squeeze=False).inner_hw == (576, 1024)
    assert Frame.fit((720, 1280), side=1024, squeeze=True).inner_hw == (1024, 1024)


def test_pixels_are_scaled_normalised_and_padded_with_zeros():
    image = np.full((20, 40, 3), (255, 0, 128), np.uint8)
    pixels = Frame.fit((20, 40), side=64, squeeze=False).to_pixels(image)
    assert pixels.shape == (1, 3, 64, 64)
    expected = (torch.tensor([1, 0, 128 / 255]) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(pixels[0, :, :32], expected[:, None, None].expand(3, 32, 64))
    assert not pixels[0, :, 32:].any()


@pytest.mark.parametrize("size_hw", [(128, 256), (100, 60), (33, 7)])
def test_sampling_a_squeezed_mask_is_bilinear_resizing(size_hw):
    low = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    frame = Frame.fit(size_hw, side=64, squeeze=True)
    expected = F.interpolate(torch.from_numpy(low)[None, None], size=size_hw, mode="bilinear")[0, 0].numpy()
    window = (slice(3, size_hw[0] - 2), slice(1, size_hw[1] - 3))
    np.testing.assert_allclose(frame.sample(low, window), expected[window], atol=1e-5)


@pytest.mark.parametrize("size_hw", [(64, 128), (32, 64), (96, 256), (64, 64), (128, 64)])
def test_sampling_a_padded_mask_is_resizing_the_frame_and_cropping(size_hw):
    low = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    frame = Frame.fit(size_hw, side=64, squeeze=False)
    square = max(size_hw)
    expected = F.interpolate(torch.from_numpy(low)[None, None], size=(square, square), mode="bilinear")[0, 0].numpy()
    whole = (slice(0, size_hw[0]), slice(0, size_hw[1]))
    np.testing.assert_allclose(frame.sample(low, whole), expected[whole], atol=1e-5)


@pytest.mark.parametrize("squeeze", [False, True])
@pytest.mark.parametrize("size_hw", [(48, 100), (200, 90), (37, 37)])
def test_the_window_of_a_mask_holds_every_pixel_that_it_sets(size_hw, squeeze):
    rng = np.random.default_rng(0)
    frame = Frame.fit(size_hw, side=64, squeeze=squeeze)
    for _ in range(20):
        y, x = (int(rng.integers(cells)) for cells in frame.inner_size(16))
        low = np.full((16, 16), -0.01, np.float32)
        low[y, x] = 50
        full = frame.sample(low, (slice(0, size_hw[0]), slice(0, size_hw[1]))) > 0
        x1, y1, x2, y2 = frame.window_of((x, y, x + 1, y + 1), 16)
        outside = full.copy()
        outside[y1:y2, x1:x2] = False
        assert full.any()
        assert not outside.any()


@pytest.mark.parametrize("squeeze", [False, True])
def test_a_mask_prompt_lies_where_its_pixels_lie(squeeze):
    frame = Frame.fit((32, 64), side=64, squeeze=squeeze)
    prompt = frame.to_mask_prompt(np.full((8, 16), 7, np.float32), (32, 8, 48, 16), low_side=16)[0].numpy()
    expected = np.full((16, 16), EMPTY_LOGIT, np.float32)
    expected[slice(4, 8) if squeeze else slice(2, 4), 8:12] = 7
    np.testing.assert_allclose(prompt[expected == 7].mean(), 7, atol=8)  # smoothed where it shrinks
    assert (prompt[expected != 7] < -5).all()
    assert not squeeze or prompt.shape == (16, 16)
    assert squeeze or (prompt[8:] == EMPTY_LOGIT).all()
