import codecs
import json

import numpy as np
import pytest

from mmstreet.formats import json_stream
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import read_images
from mmstreet.formats.scalabel import ScalabelReader
from mmstreet.formats.scalabel_labels import iter_raw_frames, parse_box, parse_label, parse_poly2d
from mmstreet.labels import BDD100K_INS8
from tests.helpers.instance_labels import rectangle


def raw_label(label_id, category, occluded, truncated, x1, y1, x2, y2):
    attributes = {"occluded": occluded, "truncated": truncated, "trafficLightColor": "none"}
    box = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return {"category": category, "attributes": attributes, "manualShape": True, "manualAttributes": True, "box2d": box, "id": label_id}


EXAMPLE = {
    "name": "00091078-84635cf2.jpg",
    "attributes": {"weather": "snowy", "scene": "city street", "timeofday": "dawn/dusk"},
    "timestamp": 10000,
    "labels": [
        raw_label(344, "truck", True, True, 0, 1.468279, 356.05738, 701.295692),
        raw_label(345, "car", False, True, 196.015093, 352.386687, 706.975787, 690.090594),
        raw_label(355, "pedestrian ", True, False, 629.261939, 375.249876, 643.944715, 410.488545),
    ],
}
"""An annotation as a published course report on BDD100K prints it, trailing blank of 'pedestrian ' included."""


BOXES = {
    "344": (0, 1.468279, 357.05738, 700.827413),
    "345": (196.015093, 352.386687, 511.960694, 338.703907),
    "355": (629.261939, 375.249876, 15.682776, 36.238669),
}
"""x1, y1, x2 + 1 - x1, y2 + 1 - y1"""


def label(**changes):
    return {"id": "7", "category": "car", "box2d": {"x1": 1, "y1": 1, "x2": 5, "y2": 5}, **changes}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def read(path, **settings):
    report = ConversionReport()
    return list(read_images(ScalabelReader(path, **settings), report)), report


def check_example(image):
    assert (image.name, image.size_hw, image.attributes["weather"]) == ("00091078-84635cf2.jpg", (720, 1280), "snowy")
    truck, car, pedestrian = image.instances
    assert [BDD100K_INS8.labels[x.category_id - 1].name for x in image.instances] == ["truck", "car", "pedestrian"]
    assert (truck.occluded, truck.truncated, car.occluded, car.truncated, pedestrian.truncated) == (True, True, False, True, False)
    for instance in image.instances:
        assert instance.bbox == pytest.approx(BOXES[instance.source_id])


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([EXAMPLE]),
        json.dumps({"frames": [EXAMPLE], "groups": None, "config": {"categories": []}}),
        json.dumps({"config": None, "frames": [EXAMPLE]}),
        json.dumps(EXAMPLE),
        repr(EXAMPLE),
        "\n" + repr([EXAMPLE]).replace("'occluded': ", "'occluded':  \n"),
        repr({"frames": [EXAMPLE]}),
        repr(EXAMPLE).replace("[{", "({").replace("}]", "})"),
    ],
    ids=["list", "object", "config first", "one frame", "printed frame", "printed list", "printed object", "printed tuple"],
)
def test_every_layout_gives_the_frame(tmp_path, text):
    for bom in (b"", codecs.BOM_UTF8):
        (tmp_path / "a.json").write_bytes(bom + text.encode())
        ((image,), report) = read(tmp_path / "a.json")
        check_example(image)
        assert report.instances_in == 3


@pytest.mark.parametrize("name_first", [True, False])
def test_per_image_files_of_2018_give_the_same_frame(tmp_path, name_first):
    head = {"name": "00091078-84635cf2", "attributes": EXAMPLE["attributes"]}
    tail = {"frames": [{"timestamp": 10000, "objects": EXAMPLE["labels"]}]}
    write(tmp_path / "b.json", head | tail if name_first else tail | head)
    write(tmp_path / "a.json", {"name": "other", "frames": [{"objects": []}]})
    other, image = read(tmp_path)[0]
    assert other.name == "other.jpg"
    check_example(image)


@pytest.mark.parametrize("config_first", [True, False])
def test_the_size_of_the_config_counts_wherever_it_stands(tmp_path, config_first):
    rle = {"counts": [0, 3, 1080 * 1920 - 3], "size": [1080, 1920]}
    frames = {"frames": [{"name": "a.jpg", "labels": [label(poly2d=rectangle(1800, 900, 100, 80)), label(id=8, rle=rle)]}]}
    config = {"config": {"imageSize": {"width": 1920, "height": 1080}}}
    (image,), report = read(write(tmp_path / "a.json", config | frames if config_first else frames | config))
    assert image.size_hw == (1080, 1920)
    assert [x.area for x in image.instances] == [8000, 3]
    assert not report.notes


def test_a_frame_s_own_size_comes_before_that_of_the_config(tmp_path):
    frames = [{"name": "a.jpg", "size": {"width": 40, "height": 30}, "labels": []}, {"name": "b.jpg", "labels": []}]
    images, _ = read(write(tmp_path / "a.json", {"frames": frames, "config": {"imageSize": {"width": 1920, "height": 1080}}}))
    assert [image.size_hw for image in images] == [(30, 40), (1080, 1920)]


def test_run_lengths_tell_the_size_where_nothing_else_does(tmp_path):
    frames = [{"name": "a.jpg", "labels": [label(rle={"counts": [0, 5, 1195], "size": [30, 40]})]}]
    (image,), report = read(write(tmp_path / "a.json", frames))
    assert (image.size_hw, image.instances[0].area) == ((30, 40), 5)
    assert not report.notes


def test_flags_with_capitals_keep_regions_out_of_training(tmp_path):
    attributes = {"Crowd": True, "Ignored": "true", "Occluded": True, "Truncated": False}
    ((image,), _) = read(write(tmp_path / "a.json", [{"name": "a.jpg", "labels": [label(attributes=attributes)]}]))
    assert image.instances[0].flags == {"crowd": True, "ignored": True, "occluded": True, "truncated": False}


def test_a_box_among_masks_is_kept_with_its_box(tmp_path):
    labels = [label(), label(id=8, poly2d=rectangle(10, 10, 4, 4)), label(id=9, box2d={"x1": -4, "y1": 700, "x2": 3, "y2": 800})]
    (image,), report = read(write(tmp_path / "a.json", [{"name": "a.jpg", "labels": labels}]))
    assert [x.bbox for x in image.instances] == [(1, 1, 5, 5), (10, 10, 4, 4), (0, 700, 4, 20)]
    assert [x.counts is None for x in image.instances] == [True, False, True]
    assert report.notes["instance has a box but no mask"] == 2


def test_polygon_of_2018_is_read_as_today_s():
    (old,) = parse_poly2d([[2, 2, "L"], [6, 2, "L"], [6, 5, "L"], [2, 5, "L"]])
    (new,) = parse_poly2d([{"vertices": [[2, 2], [6, 2], [6, 5], [2, 5]], "types": "LLLL", "closed": True}])
    np.testing.assert_array_equal(old, new)
    np.testing.assert_array_equal(new, [[2, 2], [6, 2], [6, 5], [2, 5]])


@pytest.mark.parametrize("labels", [{}, {"labels": None}, {"labels": []}])
def test_frames_without_labels_are_empty(tmp_path, labels):
    ((image,), _) = read(write(tmp_path / "a.json", [{"name": "a.jpg", "attributes": None, **labels}]))
    assert image.instances == ()


def test_tracking_frames_lie_in_the_folder_of_their_video(tmp_path):
    frames = [{"name": "v1-0001.jpg", "videoName": "v1", "frameIndex": 0}, {"name": "a.jpg", "videoName": "v1"}]
    assert [image.name for image in read(write(tmp_path / "a.json", frames))[0]] == ["v1/v1-0001.jpg", "a.jpg"]
    with pytest.raises(ValueError, match=r"a\.json: frame 1 \('a\.jpg'\): the name '\.\./v1' leads outside the image folder"):
        read(write(tmp_path / "a.json", [{"name": "a.jpg", "videoName": "../v1", "frameIndex": 0}]))


def test_id_minus_one_is_an_ignored_crowd():
    region = parse_label(label(id="-1"), BDD100K_INS8)
    assert region["crowd"]
    assert region["ignored"]


def test_boxes_hold_their_last_pixel():
    assert parse_box({"x1": 99, "y1": 49, "x2": 99, "y2": 49}) == (99, 49, 1, 1)


@pytest.mark.parametrize(
    ("raw", "reason", "words"),
    [
        (label(category=None), "no category", "frame 'a.jpg', label 7: category must be a name, got None"),
        (label(category=" "), "no category", "category must be a name"),
        ({"category": None}, "no category", "label at position 0"),
        (3, "malformed label", "label at position 0: a label must be an object, got int"),
        (label(attributes=[1]), "malformed label", "attributes must be an object"),
        (label(attributes={"crowd": "perhaps"}), "malformed flag", "crowd must be true or false"),
        (label(score="high"), "malformed number", "score must be a finite number"),
        (label(box2d=[1, 2, 3, 4]), "malformed box", "x1, y1, x2, y2"),
        (label(box2d={"x1": 1, "y1": 2, "x2": 3}), "malformed number", "y2 must be a finite number, got None"),
        (label(box2d={"x1": 1, "y1": 2, "x2": float("nan"), "y2": 3}), "malformed number", "x2 must be a finite number, got nan"),
        (label(box2d={"x1": 1, "y1": 2, "x2": 10**400, "y2": 3}), "malformed number", "x2 must be a finite number"),
        (label(box2d={"x1": 9, "y1": 2, "x2": 3, "y2": 3}), "inverted box", r"inverted, x 9 … 3"),
        (label(poly2d={"vertices": []}), "malformed polygon", "poly2d must be a list"),
        (label(poly2d=[{"types": "L"}]), "malformed polygon", "needs vertices"),
        (label(poly2d=[[1]]), "malformed polygon", "needs a list of points"),
        (label(poly2d=[{"vertices": [[1, 2], [3, None]]}]), "malformed polygon", "all finite numbers"),
        (label(poly2d=[{"vertices": [[1, 2], [3, 10**400]]}]), "malformed polygon", "all finite numbers"),
        (label(poly2d=[{"vertices": [[1, 2], [3]]}]), "malformed polygon", "needs a list of points"),
        (label(id={"a": 1}), "malformed id", "must be text or a whole number"),
        (label(poly2d=[{"vertices": [[1, 2], [3, 4]], "types": "L"}]), "malformed polygon", "one letter L or C per vertex"),
    ],
)
def test_a_bad_label_is_named_and_can_be_skipped(tmp_path, raw, reason, words):
    (image,), report = read(write(tmp_path / "a.json", [{"name": "a.jpg", "labels": [raw, label(id="8")]}]))
    assert [good.source_id for good in image.instances] == ["8"]
    assert report.skipped_instances == {reason: 1}
    with pytest.raises(ValueError, match=rf"a\.json: (?=frame 'a\.jpg', label ).*{words}"):
        list(read_images(ScalabelReader(tmp_path / "a.json"), ConversionReport(strict=True, source="a.json")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, r"frame 1 \(None\): an image needs a name, got None"),
        ({"size": {"width": 3}}, "frame 'a.jpg': needs height and width in pixels"),
        ({"size": [3, 4]}, "frame 'a.jpg': needs height and width in pixels"),
        ({"labels": {"id": 3}}, r"frame 1 \('a.jpg'\): labels must be a list"),
        ({"attributes": [3]}, "frame 'a.jpg': attributes must be an object"),
        ({"attributes": {"scene": float("nan")}}, "frame 'a.jpg': its attributes cannot be written as JSON"),
    ],
)
def test_a_bad_frame_is_explained(tmp_path, changes, words):
    with pytest.raises(ValueError, match=rf"a\.json: {words}"):
        read(write(tmp_path / "a.json", [{"name": "a.jpg"} | changes]))


def test_wrong_files_are_explained(tmp_path):
    with pytest.raises(FileNotFoundError, match="no labels at"):
        list(iter_raw_frames(tmp_path / "none.json"))
    with pytest.raises(FileNotFoundError, match="no labels at"):
        list(iter_raw_frames(tmp_path))
    with pytest.raises(ValueError, match="no list 'frames'; it has: images, annotations"):
        list(iter_raw_frames(write(tmp_path / "coco.json", {"images": [], "annotations": []})))
    with pytest.raises(ValueError, match="a frame must be an object, found int"):
        list(iter_raw_frames(write(tmp_path / "ints.json", [3])))
    (tmp_path / "cut.json").write_text(json.dumps([EXAMPLE, EXAMPLE])[:-100])
    with pytest.raises(ValueError, match=r"cut\.json is not whole JSON.* after 1 complete elements"):
        list(iter_raw_frames(tmp_path / "cut.json"))
    with pytest.raises(ValueError, match="no list 'frames'; it has: name"):
        list(iter_raw_frames(write(tmp_path / "nothing.json", {"name": "a.jpg"})))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_other_encodings_are_named(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes(json.dumps([EXAMPLE]).encode(encoding))
    with pytest.raises(ValueError, match=r"a\.json is not UTF-8 text, it looks like UTF-16, .*; save it as UTF-8"):
        read(tmp_path / "a.json")


def test_a_printed_frame_that_was_cut_off_is_named(tmp_path):
    (tmp_path / "a.json").write_text(repr(EXAMPLE)[:-40])
    with pytest.raises(ValueError, match=r"a\.json is a Python literal that cannot be read .*; write it with json\.dump"):
        read(tmp_path / "a.json")


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"name": ' + "9" * 5000 + "}]"])
def test_json_that_python_does_not_read_is_named(tmp_path, text, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 1 << 21)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=r"a\.json is not whole JSON"):
        read(tmp_path / "a.json")
