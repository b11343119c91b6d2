import numpy as np
import pytest

from mmstreet.formats.rules import (
    RecordError,
    build_instance,
    check_name,
    parse_flag,
    parse_flags,
    parse_id,
    parse_size,
    resolve_category,
)
from mmstreet.labels import BDD100K_INS8

ENTRIES = {"category_id": 3, "source_id": "7"}


@pytest.mark.parametrize("value", [True, 1, 1.0, "1", "true", " True ", "YES"])
def test_true_is_true_in_every_spelling(value):
    assert parse_flag("crowd", value) is True


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "0", "false", "False", "no", ""])
def test_false_is_false_in_every_spelling(value):
    assert parse_flag("crowd", value) is False


@pytest.mark.parametrize("value", ["perhaps", 2, -1, float("nan"), [], {"a": 1}, "01"])
def test_what_is_neither_true_nor_false_is_refused(value):
    with pytest.raises(RecordError, match="Crowd must be true or false, got"):
        parse_flag("Crowd", value)


def test_capitals_of_a_flag_s_name_do_not_matter_and_the_first_object_decides():
    flags = parse_flags({"Crowd": True, "IGNORED": "false", "trafficLightColor": "none"}, {"ignored": True, "occluded": 1, "crowd": False})
    assert flags == {"truncated": False, "occluded": True, "crowd": True, "ignored": False}


def test_a_flag_that_one_object_gives_as_true_and_false_is_refused():
    assert parse_flags({"crowd": True, "Crowd": 1})["crowd"]
    with pytest.raises(RecordError, match="crowd is given twice, as true and as false"):
        parse_flags({"crowd": True, "Crowd": False})


@pytest.mark.parametrize(("value", "expected"), [(None, ""), (344, "344"), (344.0, "344"), ("0045-a", "0045-a"), (-1, "-1")])
def test_ids_become_text(value, expected):
    assert parse_id(value) == expected


@pytest.mark.parametrize("value", [1.5, True, [3], {"id": 3}, float("inf")])
def test_ids_that_are_none_are_refused(value):
    with pytest.raises(RecordError, match="its id must be text or a whole number"):
        parse_id(value)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((1.25, 2, 3.5, 4), (1.25, 2, 3.5, 4)),
        ((-5, -5, 9, 10), (0, 0, 4, 5)),
        ((95, 45, 106, 256), (95, 45, 5, 5)),
        ((99, 49, 1, 1), (99, 49, 1, 1)),
    ],
)
def test_boxes_are_cut_at_the_image(box, expected):
    assert build_instance(ENTRIES, box, None, (50, 100)).bbox == expected


@pytest.mark.parametrize("box", [(100, 10, 21, 11), (-30, 10, 11, 11), (5, 5, 0, 3), (5, 5, -2, 3), (5, 60, 3, 3)])
def test_boxes_without_a_pixel_of_the_image_are_refused(box):
    with pytest.raises(RecordError, match="its box holds no pixel of the 100×50 image"):
        build_instance(ENTRIES, box, None, (50, 100))


def test_a_mask_s_own_box_takes_the_place_of_the_file_s():
    counts = np.array([50 * 2 + 3, 4, 50 * 100 - 107])  # rows 3 to 6 of column 2
    assert build_instance(ENTRIES, (0, 0, 90, 40), counts, (50, 100)).bbox == (2, 3, 1, 4)


@pytest.mark.parametrize(
    "size",
    [
        None,
        [3, 4],
        {"width": 3},
        {"height": 0, "width": 3},
        {"height": True, "width": 3},
        {"height": 2.5, "width": 3},
        {"height": "4", "width": 3},
    ],
)
def test_sizes_that_are_none_are_refused(size):
    with pytest.raises(ValueError, match="needs height and width in pixels"):
        parse_size(size)


def test_sizes_are_height_and_width():
    assert parse_size({"width": 1280.0, "height": 720}) == (720, 1280)
    with pytest.raises(ValueError, match="are not read"):
        parse_size({"width": 1 << 20, "height": 1 << 20})


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


@pytest.mark.parametrize("category", ["drivable area", "lane", "traffic light"])
def test_other_categories_are_named(category):
    with pytest.raises(RecordError, match=f"category '{category}' is not among the classes"):
        resolve_category(category, BDD100K_INS8.names)


@pytest.mark.parametrize("name", ["../a.jpg", "a/../../b.jpg", "/etc/passwd", "C:\\a.jpg", "\\\\host\\a.jpg", "..\\a.jpg", "."])
def test_names_never_lead_out_of_the_image_folder(name):
    with pytest.raises(ValueError, match="leads outside the image folder"):
        check_name(name)


@pytest.mark.parametrize("name", ["a.jpg", "train/a.jpg", "a..b.jpg"])
def test_ordinary_names_pass(name):
    assert check_name(name) == name


@pytest.mark.parametrize("name", ["a\0.jpg", "a\n.jpg", "\ud800.jpg", "a" * 300 + ".jpg"])
def test_names_that_no_file_has_are_refused(name):
    with pytest.raises(ValueError, match="no file can have the name"):
        check_name(name)
