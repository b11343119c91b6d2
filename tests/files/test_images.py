"""A whole image is read as stored; half of one is refused by name."""

import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from mmstreet.files.images import ImageFileError, as_contiguous, probe_image, read_image, read_rgb
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


def test_the_probe_gives_height_width_and_orientation(jpeg):
    assert probe_image(jpeg) == (40, 56, 1)


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


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_an_image_is_turned_as_pillow_turns_it_on_request(tag, suffix, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = tag
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(RGB).save(path, exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    assert np.abs(read_rgb(path, orientation="exif").astype(int) - upright).max() <= (0 if suffix == "png" else 3)
    assert probe_image(path) == (40, 56, tag)


def test_an_unknown_orientation_is_refused(jpeg):
    with pytest.raises(ValueError, match="orientation must be 'stored' or 'exif', not 'upright'"):
        read_image(jpeg, orientation="upright")


def png_header(width, height):
    """A PNG of 69 bytes whose header promises more pixels than it holds."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)


@READERS
def test_an_image_above_the_limit_is_refused_before_it_is_decoded(read, tmp_path):
    (tmp_path / "a.png").write_bytes(png_header(65535, 65535))
    with pytest.raises(ImageFileError, match=r"a\.png is 65535x65535, 4,294,836,225 pixels, and the limit is 100,000,000"):
        read(tmp_path / "a.png")


@READERS
def test_the_limit_can_be_set(read, jpeg, monkeypatch):
    monkeypatch.setenv("MMSTREET_MAX_PIXELS", str(40 * 56))
    read(jpeg)
    monkeypatch.setenv("MMSTREET_MAX_PIXELS", str(40 * 56 - 1))
    with pytest.raises(ImageFileError, match="is 56x40, 2,240 pixels"):
        read(jpeg)
    monkeypatch.setenv("MMSTREET_MAX_PIXELS", "1e9")
    with pytest.raises(ImageFileError, match="MMSTREET_MAX_PIXELS must be a number of pixels, not '1e9'"):
        read(jpeg)


@READERS
def test_pipes_devices_and_folders_are_refused_and_links_to_files_are_not(read, jpeg, tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "zero.jpg", ""):
        with pytest.raises(ImageFileError, match="no regular file"):
            read(tmp_path / name)
    (tmp_path / "link.jpg").symlink_to(jpeg)
    np.testing.assert_array_equal(read(tmp_path / "link.jpg"), read(jpeg))


def test_of_16_bits_the_upper_8_are_kept_and_floats_are_refused(tmp_path):
    deep = np.random.default_rng(1).integers(0, 1 << 16, (9, 7, 3), np.uint16)
    for suffix in (".png", ".tif"):
        cv2.imwrite(str(tmp_path / f"a{suffix}"), deep)
        np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), deep // 256)
    for channels in (deep, deep[..., 0]):
        cv2.imwrite(str(tmp_path / "f.tif"), channels.astype(np.float32))
        for read in (read_image, probe_image):
            with pytest.raises(ImageFileError, match=r"f\.tif holds values of type float32"):
                read(tmp_path / "f.tif")


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 3)])
@pytest.mark.parametrize("view", [np.s_[:], np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1], np.s_[1:4, 2:5], np.s_[::2, ::-2]])
def test_a_view_is_copied_into_rows_and_an_array_of_rows_is_itself(shape, view):
    image = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    out = as_contiguous(image[view])
    assert out.flags.c_contiguous
    assert out.shape == image[view].shape
    np.testing.assert_array_equal(out, image[view])
    assert np.shares_memory(out, image) == image[view].flags.c_contiguous
