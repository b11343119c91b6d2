"""The table for people says what the numbers leave out."""

import numpy as np

from mmstreet.labels import BDD100K_SEM19, CAMVID11, CITYSCAPES19, STREET6, find_table
from mmstreet.metrics.summary import format_summary, summarize

NAMES = ("car", "person")


def make_summary(confusion, **settings):
    defaults = {"table": None, "convention": "mmseg", "scope": "labelled"}
    return summarize(np.array(confusion, np.int64), NAMES, **(defaults | settings))


def test_a_table_is_found_by_its_classes_in_order():
    assert find_table(CAMVID11.metainfo) is CAMVID11
    assert find_table({"classes": STREET6.names[::-1]}) is None
    assert find_table({"classes": CITYSCAPES19.names}).groups == BDD100K_SEM19.groups


def test_numbers_stand_in_the_line_of_their_class():
    lines = format_summary(make_summary([[6, 2, 0], [0, 2, 0], [0, 0, 0]])).splitlines()
    assert lines[0].split() == ["class", "IoU", "Acc", "Prec.", "pixels", "%"]
    assert lines[1].split() == ["car", "75.00", "75.00", "100.00", "80.00"]
    assert lines[2].split() == ["person", "50.00", "100.00", "50.00", "20.00"]
    assert lines[-1] == "mIoU 62.50  aAcc 80.00  mAcc 87.50  fwIoU 70.00  IoU_common 62.50"


def test_absent_classes_are_named_with_the_reason():
    only_car = [[6, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert "n/a and in no mean, because neither labelled nor predicted in this split: person" in format_summary(make_summary(only_car))
    called_person = [[6, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert "n/a and" not in format_summary(make_summary(called_person))
    assert "because not labelled in this split: person" in format_summary(make_summary(called_person, convention="bdd100k"))


def test_background_and_predictions_of_no_class_are_told():
    confusion = [[4, 0, 1], [0, 0, 0], [1, 0, 3]]
    assert "1 pixels of the classes were predicted as none of them" in format_summary(make_summary(confusion))
    assert "background: 44.44 % of the pixels, 25.00 % of it predicted as a class" in format_summary(make_summary(confusion, scope="scene"))


def test_a_class_is_common_medium_or_rare_by_its_share_of_the_pixels_that_are_scored():
    counts = np.zeros((12, 12), np.int64)
    for label, pixels in enumerate((9402, 500, 50, 48)):  # 94 %, 5 %, 0.5 % and 0.48 % of 10,000
        counts[label, label] = pixels
    counts[0, 4] = counts[0, 0] - 9400  # class 4 is predicted twice and never labelled
    counts[0, 0] = 9400
    for table in (CAMVID11, None):
        summary = summarize(counts, CAMVID11.names, table=table, convention="mmseg", scope="labelled")
        assert [row["frequency"] for row in summary["per_class"]] == ["common", "common", "medium", "rare", *[None] * 7]
        assert summary["metrics"]["IoU_medium"] == summary["metrics"]["IoU_rare"] == 100
        assert summary["metrics"]["IoU_common"] == (100 * 9400 / 9402 + 100) / 2


def test_background_takes_its_share_of_the_whole_scene():
    confusion = [[40, 0, 0], [0, 5, 0], [0, 0, 955]]
    scene, labelled = (make_summary(confusion, scope=scope) for scope in ("scene", "labelled"))
    assert [row["frequency"] for row in scene["per_class"]] == ["medium", "medium"]
    assert [row["frequency"] for row in labelled["per_class"]] == ["common", "common"]
