"""Images of every kind become RGB, and sizes follow mmcv and torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mmstreet.files.images import ImageFileError
from mmstreet.predict.images import as_rgb, fit_size, resize_scores
from tests.helpers.color_model import draw_colors, write_png

IMAGE = draw_colors(0)[0]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_file_comes_back_in_rgb_order(tmp_path, suffix):
    np.testing.assert_array_equal(as_rgb(write_png(tmp_path / f"a{suffix}", IMAGE)), IMAGE)


def test_alpha_is_dropped_and_of_16_bits_the_upper_8_count(tmp_path):
    alpha = np.dstack([IMAGE, np.full(IMAGE.shape[:2], 7, np.uint8)])
    deep = IMAGE.astype(np.uint16) * 256 + 255
    for i, array in enumerate((alpha, deep, np.dstack([deep, np.full(IMAGE.shape[:2], 9, np.uint16)]))):
        np.testing.assert_array_equal(as_rgb(array), IMAGE)
        np.testing.assert_array_equal(as_rgb(write_png(tmp_path / f"{i}.png", array)), IMAGE)


def test_grey_is_repeated(tmp_path):
    grey = IMAGE[..., 0]
    for image in (grey, grey[..., None], write_png(tmp_path / "grey.png", grey), Image.fromarray(grey)):
        np.testing.assert_array_equal(as_rgb(image), np.stack([grey] * 3, axis=2))


def test_a_pil_palette_image_is_read_by_its_colours():
    palette = Image.fromarray(IMAGE).quantize(16)
    np.testing.assert_array_equal(as_rgb(palette), np.asarray(palette.convert("RGB")))


@pytest.mark.parametrize("array", [IMAGE / 255, IMAGE.astype(np.int64), IMAGE[None], np.zeros((0, 4, 3), np.uint8), IMAGE[..., :2]])
def test_what_is_no_image_is_refused_with_its_type_and_shape(array):
    with pytest.raises(ValueError, match=rf"got {array.dtype} \[{array.shape[0]}, "):
        as_rgb(array)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: b"broken", lambda data: data[: len(data) // 2]])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_damaged_file_is_named(tmp_path, damage, suffix):
    path = write_png(tmp_path / f"a{suffix}", np.tile(IMAGE, (8, 8, 1)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ImageFileError, match=f"a{suffix} "):
        as_rgb(path)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 900), st.integers(1, 900)),
    scale=st.tuples(st.integers(16, 900), st.integers(16, 900)),
    keep_ratio=st.booleans(),
)
def test_sizes_are_those_of_mmcvs_resize(size, scale, keep_ratio):
    from mmcv.transforms import Resize

    expected = scale[::-1]
    if keep_ratio:
        import mmcv

        expected = mmcv.rescale_size(size[::-1], scale)[::-1]
    assert fit_size(size, scale_wh=scale, keep_ratio=keep_ratio) == tuple(expected)
    assert Resize(scale, keep_ratio=keep_ratio).scale == scale


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size_hw", [(7, 9), (20, 31), (3, 4), (1, 1), (14, 9)])
def test_scores_are_resized_as_torch_does(align_corners, size_hw):
    scores = np.random.default_rng(0).normal(size=(5, 7, 9)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(scores)[None], size_hw, mode="bilinear", align_corners=align_corners)[0]
    np.testing.assert_allclose(resize_scores(scores, size_hw, align_corners=align_corners), expected.numpy(), atol=2e-5)
