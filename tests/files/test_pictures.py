"""Label maps are ids to programs and colours to people; photographs are small."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.pictures import copy_photo, write_label_map, write_photo


def test_pixel_values_are_the_ids_and_colours_those_of_the_classes(tmp_path):
    ids = np.array([[0, 1, 2, 7, 100]], np.int16)
    picture = Image.open(write_label_map(ids, [(10, 20, 30), (0, 0, 0), (200, 0, 0)], tmp_path / "new/map.png", ignore_index=100))
    assert np.asarray(picture).tolist() == [[0, 1, 2, 3, 255]]
    colors = np.asarray(picture.convert("RGB"))[0].tolist()
    assert colors == [[10, 20, 30], [64, 64, 64], [200, 0, 0], [64, 64, 64], [0, 0, 0]], "black is for ignored pixels alone"


def test_more_classes_than_an_indexed_png_holds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at most 254 classes"):
        write_label_map(np.zeros((2, 2)), [(1, 1, 1)] * 255, tmp_path / "a.png")


def test_photographs_become_smaller_and_never_larger(tmp_path):
    wide = write_photo(np.zeros((500, 1280, 3), np.uint8), tmp_path / "a.jpg")
    small = write_photo(np.zeros((30, 40, 3), np.uint8), tmp_path / "b.jpg")
    assert (Image.open(wide).size, Image.open(small).size) == ((640, 250), (40, 30))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("name", "mode", "tag", "width", "same"),
    [
        ("a.jpg", "RGB", 1, 64, True),
        ("a.jpg", "L", 1, 640, True),
        ("a.jpg", "RGB", 6, 64, False),
        ("a.jpg", "RGB", 1, 641, False),
        ("a.jpg", "CMYK", 1, 64, False),
        ("a.png", "RGB", 1, 64, False),
    ],
)
def test_small_upright_jpegs_are_copied_and_others_written_anew(tmp_path, name, mode, tag, width, same):
    picture = Image.linear_gradient("L").resize((width, 40)).convert(mode)
    exif = picture.getexif()
    exif[0x0112] = tag
    picture.save(tmp_path / name, exif=exif)
    copied = copy_photo(tmp_path / name, tmp_path / "out/b.jpg", orientation="stored")
    assert (copied.read_bytes() == (tmp_path / name).read_bytes()) == same
    found = Image.open(copied)
    assert (found.format, found.size) == ("JPEG", (min(width, 640), 40))
    want = np.asarray(picture.convert("L").resize(found.size), float)
    assert np.abs(np.asarray(found.convert("L"), float) - want).mean() < 3
