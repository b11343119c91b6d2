"""Every way to give an image leads to the same RGB array, and what is no image is refused."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.images import ImageFileError, as_rgb
from tests.helpers.color_model import render_colors, write_png

IMAGE = render_colors(0)[0]


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
