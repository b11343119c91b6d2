"""A whole image is read as stored; half of one is refused by name."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.images import ImageFileError, probe_image, read_image
from tests.helpers.street_files import truncate

RGB = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
READERS = pytest.mark.parametrize("read", [read_image, probe_image])


@pytest.fixture
def jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(RGB).save(path, quality=90)
    return path


def test_pixels_are_bgr(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), RGB[..., ::-1])


def test_the_probe_gives_height_and_width(jpeg):
    assert probe_image(jpeg) == (40, 56)


def test_orientation_tags_do_not_turn_the_image_away_from_its_labels(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.fromarray(RGB).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (40, 56, 3)


@READERS
@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_a_truncated_jpeg_is_named(read, share, jpeg):
    with pytest.raises(ImageFileError, match=r"a\.jpg (is truncated|cannot be decoded)"):
        read(truncate(jpeg, share))


@READERS
def test_a_truncated_png_is_named(read, tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    with pytest.raises(ImageFileError, match=r"a\.png"):
        read(truncate(tmp_path / "a.png"))


@READERS
def test_bytes_after_the_end_marker_do_no_harm(read, jpeg):
    before = read(jpeg)
    jpeg.write_bytes(jpeg.read_bytes() + b"\0" * 100)
    np.testing.assert_array_equal(read(jpeg), before)


@READERS
def test_what_is_no_image_is_named(read, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>not found</html>")
    with pytest.raises(ImageFileError, match=r"a\.jpg cannot be decoded"):
        read(tmp_path / "a.jpg")
