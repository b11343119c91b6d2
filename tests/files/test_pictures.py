"""Label maps are ids to programs and colours to people; photographs are small."""

import numpy as np
import pytest
from PIL import Image

from mmstreet.files.pictures import write_label_map, write_photo


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
