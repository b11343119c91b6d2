"""Attributes of images from both kinds of file, found by the end of a path, and files that cannot be used."""

import json

import pytest

from mmstreet.formats.image_attributes import ImageAttributes


def test_a_csv_file_tells_attributes_by_file_name_or_by_more_of_the_path(tmp_path):
    path = tmp_path / "attributes.csv"
    path.write_text("\ufeffimage,weather,speed\na.jpg,rainy,3\nnight/a.jpg,clear,\n", encoding="utf-8")
    found = ImageAttributes(path)
    assert found.names == ("weather", "speed")
    assert found.get("/data/day/a.jpg") == {"weather": "rainy", "speed": "3"}
    assert found.get(r"C:\data\night\a.jpg") == {"weather": "clear", "speed": ""}
    assert found.get("/data/ba.jpg") == {}


@pytest.mark.parametrize("wrap", [list, lambda frames: {"frames": frames}])
def test_scalabel_frames_tell_their_attributes(tmp_path, wrap):
    frames = [{"name": "a.jpg", "attributes": {"weather": "foggy"}, "labels": []}, {"name": "b.jpg", "labels": None}]
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(wrap(frames)))
    assert ImageAttributes(path).get("x/a.jpg") == {"weather": "foggy"}
    assert ImageAttributes(path).get("x/b.jpg") == {}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "picture,weather\na.jpg,clear\n", "has the columns picture, weather; expected 'image'"),
        ("a.csv", "image,weather\na.jpg\n", "line 2: expected 2 cells"),
        ("a.csv", "image,weather\na.jpg,clear,x\n", "line 2: expected 2 cells"),
        ("a.csv", "image,weather\na.jpg,clear\na.jpg,rainy\n", "names the image 'a.jpg' twice"),
        ("a.csv", "image\na.jpg\n", "tells no attribute of any image"),
        ("a.csv", "", "has the columns none"),
        ("a.json", '[{"name": "a.jpg", "attributes": 3}]', "attributes must be an object"),
        ("a.json", '[{"name": "a.jpg"}]', "tells no attribute of any image"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=words) as caught:
        ImageAttributes(tmp_path / name)
    assert name in str(caught.value)
