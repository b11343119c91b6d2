import json

import numpy as np
import pytest

from mmstreet.formats.scalabel import (
    Box2D,
    LabelError,
    check_name,
    iter_raw_frames,
    load_frames,
    parse_frame,
    parse_label,
    resolve_category,
)
from mmstreet.labels import BDD100K_INS8

COMMON = {"manualShape": True, "manualAttributes": True}
EXAMPLE = {
    "name": "00091078-84635cf2.jpg",
    "attributes": {"weather": "snowy", "scene": "city street", "timeofday": "dawn/dusk"},
    "timestamp": 10000,
    "labels": [
        COMMON
        | {
            "category": "truck",
            "attributes": {"occluded": True, "truncated": True, "trafficLightColor": "none"},
            "box2d": {"x1": 0, "y1": 1.468279, "x2": 356.05738, "y2": 701.295692},
            "id": 344,
        },
        COMMON
        | {
            "category": "car",
            "attributes": {"occluded": False, "truncated": True, "trafficLightColor": "none"},
            "box2d": {"x1": 196.015093, "y1": 352.386687, "x2": 706.975787, "y2": 690.090594},
            "id": 345,
        },
        COMMON
        | {
            "category": "pedestrian ",
            "attributes": {"occluded": True, "truncated": False, "trafficLightColor": "none"},
            "box2d": {"x1": 629.261939, "y1": 375.249876, "x2": 643.944715, "y2": 410.488545},
            "id": 355,
        },
    ],
}
"""An annotation as a published course report on BDD100K prints it, trailing blank of 'pedestrian ' included."""


def label(**changes):
    return {"id": "7", "category": "car", **changes}


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_published_example_parses():
    frame = parse_frame(EXAMPLE)
    assert frame.attributes["weather"] == "snowy"
    truck, car, pedestrian = frame.labels
    assert (truck.id, truck.category, truck.occluded, truck.truncated) == ("344", "truck", True, True)
    assert truck.box2d.to_coco((720, 1280)) == pytest.approx((0, 1.468279, 357.05738, 700.827413))
    assert (car.id, car.occluded, car.truncated) == ("345", False, True)
    assert pedestrian.category == "pedestrian"


@pytest.mark.parametrize(
    "content",
    [[EXAMPLE], {"frames": [EXAMPLE], "groups": None, "config": {"categories": []}}, {"config": None, "frames": [EXAMPLE]}],
    ids=["list", "object", "config first"],
)
def test_both_layouts_give_the_same_frames(tmp_path, content):
    assert list(load_frames(write(tmp_path / "a.json", content))) == [parse_frame(EXAMPLE)]


@pytest.mark.parametrize("name_first", [True, False])
def test_per_image_files_of_2018_give_the_same_frame(tmp_path, name_first):
    head = {"name": "00091078-84635cf2", "attributes": EXAMPLE["attributes"]}
    tail = {"frames": [{"timestamp": 10000, "objects": EXAMPLE["labels"]}]}
    write(tmp_path / "b.json", head | tail if name_first else tail | head)
    write(tmp_path / "a.json", {"name": "other", "frames": [{"objects": []}]})
    assert [frame.name for frame in load_frames(tmp_path)] == ["other.jpg", "00091078-84635cf2.jpg"]
    assert list(load_frames(tmp_path / "b.json")) == [parse_frame(EXAMPLE)]


def test_outline_of_2018_is_read_as_today_s():
    old = parse_label(label(poly2d=[[2, 2, "L"], [6, 2, "L"], [6, 5, "L"], [2, 5, "L"]]))
    new = parse_label(label(poly2d=[{"vertices": [[2, 2], [6, 2], [6, 5], [2, 5]], "types": "LLLL", "closed": True}]))
    assert old.poly2d == new.poly2d
    np.testing.assert_array_equal(new.poly2d[0].flatten(), [[2, 2], [6, 2], [6, 5], [2, 5]])


@pytest.mark.parametrize("labels", [{}, {"labels": None}, {"labels": []}])
def test_frames_without_labels_are_empty(labels):
    assert parse_frame({"name": "a.jpg", "attributes": None, **labels}).labels == ()


def test_tracking_frames_lie_in_the_folder_of_their_video():
    assert parse_frame({"name": "v1-0001.jpg", "videoName": "v1", "frameIndex": 0}).name == "v1/v1-0001.jpg"
    assert parse_frame({"name": "a.jpg", "videoName": "v1"}).name == "a.jpg"


def test_id_minus_one_is_an_ignored_crowd():
    region = parse_label(label(id="-1"))
    assert region.crowd
    assert region.ignored


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("car", ("car", False)),
        (" Pedestrian ", ("pedestrian", False)),
        ("person", ("pedestrian", False)),
        ("motor", ("motorcycle", False)),
        ("bike", ("bicycle", False)),
        ("caravan", ("car", False)),
        ("van", ("car", False)),
        ("other person", ("pedestrian", True)),
        ("other vehicle", ("car", True)),
        ("trailer", ("truck", True)),
    ],
)
def test_names_find_their_class(category, expected):
    assert resolve_category(category, BDD100K_INS8.names) == expected


def test_a_class_of_the_table_is_no_alias():
    assert resolve_category("person", ("person", "car")) == ("person", False)


@pytest.mark.parametrize("category", ["drivable area", "lane", "traffic light", ""])
def test_other_categories_are_named(category):
    with pytest.raises(LabelError, match=f"category '{category}' is not among the classes"):
        resolve_category(category, BDD100K_INS8.names)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        (Box2D(-5, -5, 3, 4), (0, 0, 4, 5)),
        (Box2D(95, 45, 200, 300), (95, 45, 5, 5)),
        (Box2D(99, 49, 99, 49), (99, 49, 1, 1)),
        (Box2D(100, 10, 120, 20), (100, 10, 0, 11)),
        (Box2D(-30, 10, -20, 20), (0, 10, 0, 11)),
    ],
)
def test_boxes_hold_their_last_pixel_and_are_cut_at_the_image(box, expected):
    assert box.to_coco((50, 100)) == expected


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
        (label(poly2d={"vertices": []}), "malformed outline", "poly2d must be a list"),
        (label(poly2d=[{"types": "L"}]), "malformed outline", "needs vertices"),
        (label(poly2d=[[1]]), "malformed outline", "needs vertices"),
        (label(poly2d=[{"vertices": [[1, 2], [3, None]]}]), "malformed number", "y must be a finite number"),
        (label(poly2d=[{"vertices": [[1, 2], [3, 4]], "types": "L"}]), "malformed outline", "one letter L or C per vertex"),
    ],
)
def test_a_bad_label_is_named_and_can_be_skipped(raw, reason, words):
    frame = {"name": "a.jpg", "labels": [raw, label(id="8")]}
    with pytest.raises(LabelError, match=words):
        parse_frame(frame)
    skipped = []
    assert [good.id for good in parse_frame(frame, on_bad_label=skipped.append).labels] == ["8"]
    assert [error.reason for error in skipped] == [reason]


@pytest.mark.parametrize("name", ["../a.jpg", "a/../../b.jpg", "/etc/passwd", "C:\\a.jpg", "\\\\host\\a.jpg", "..\\a.jpg", "a\0.jpg", "."])
def test_names_never_lead_out_of_the_image_folder(name):
    with pytest.raises(ValueError, match="leads outside the image folder"):
        check_name(name)
    with pytest.raises(ValueError, match="leads outside the image folder"):
        parse_frame({"name": "a.jpg", "videoName": name, "frameIndex": 0})


@pytest.mark.parametrize("name", ["a.jpg", "train/a.jpg", "a..b.jpg"])
def test_ordinary_names_pass(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "a frame needs a name, got None"),
        ({"size": {"width": 3}}, "size must give width and height"),
        ({"size": [3, 4]}, "size must give width and height"),
        ({"labels": {"id": 3}}, "labels must be a list"),
    ],
)
def test_a_bad_frame_is_explained(changes, words):
    with pytest.raises(ValueError, match=words):
        parse_frame({"name": "a.jpg"} | changes)


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
