"""Sections on corruptions and on errors in the labels: what they show, and files of others."""

import numpy as np
import pytest

from mmstreet.files.atomic import write_json
from mmstreet.files.pictures import write_photo
from mmstreet.report.page import write_page
from mmstreet.report.run_files import read_run
from mmstreet.report.sections import list_sections
from tests.helpers.run_folders import write_test

RUN = {"config": "a.py", "checkpoint": "epoch_3.pth"}


def cell(kind, group, severity, miou, ious, *, apart=False):
    return {"kind": kind, "group": group, "severity": severity, "apart": apart, "mIoU": miou, "relative": 2 * miou, "IoU": ious}


CORRUPTIONS = {
    "images": 7,
    "classes": ["road", "<i>bus"],
    "clean": {"mIoU": 50.0, "relative": 100.0, "IoU": [80.0, 20.0]},
    "groups": {"blur": {"mIoU": 30.0, "relative": 60.0, "IoU": [60.0, None]}},
    "cells": [
        cell("motion_blur", "blur", 1, 40.0, [70.0, 10.0]),
        cell("motion_blur", "blur", 3, 20.0, [40.0, None]),
        cell("zoom_blur", "blur", 1, 10.0, [20.0, 0.0], apart=True),
    ],
}
POLE = {"img_path": "a/<b>.jpg", "label": "pole", "prediction": "tree", "confidence": 0.97, "score": 9.0, "area": 50}
LABEL_ERRORS = {
    "areas": 1234,
    "temperature": 1.5,
    "suspects": [POLE | {"box_xyxy": [3, 4, 9, 9]}, POLE | {"img_path": "a/c.jpg", "label": "sky", "box_xyxy": [0, 0, 9, 9]}],
    "images": [{"img_path": "a/c.jpg", "share": 2.5, "areas": 31}],
}


def sections(folder):
    run = read_run(folder)
    return {part["key"]: part["content"] for part in list_sections(run.evaluations, run.folder)}, run


def test_losses_are_those_against_the_clean_scores_and_what_displaces_is_in_no_line(tmp_path):
    write_test(tmp_path)
    metrics = {"corruptions/mIoU": 30.0, "corruptions/relative": 60.0}
    write_json(RUN | {"metrics": metrics, "corruptions": CORRUPTIONS}, tmp_path / "test/corruptions/metrics.json")
    found, _ = sections(tmp_path)
    table = found["corruptions"]
    assert (table["clean"], table["mean"], table["relative"], table["severities"]) == (50, 30, 60, [1, 3])
    motion, zoom = table["kinds"]
    assert {severity: one["lost"] for severity, one in motion["cells"].items()} == pytest.approx({1: 20, 3: 60})
    assert motion["left"] == pytest.approx(60)
    assert (zoom["apart"], list(zoom["cells"])) == (True, [1])
    assert [(row["name"], row["cells"][0]["lost"]) for row in table["classes"]] == [("road", 25), ("<i>bus", None)]
    (line,) = table["chart"]["series"]
    assert [(x, y) for *_, x, y in line["points"]] == [(0, 50), (1, 40), (3, 20)]
    page = write_page([tmp_path], tmp_path / "page.html").read_text()
    assert "&lt;i&gt;bus" in page
    assert "<i>bus" not in page
    assert "(zoom blur)" in page


def test_suspects_stand_beside_their_pictures(tmp_path):
    write_test(tmp_path)
    folder = tmp_path / "test/label_errors"
    write_json(RUN | {"metrics": {}, "label_errors": LABEL_ERRORS}, folder / "metrics.json")
    write_photo(np.full((8, 8, 3), 9, np.uint8), folder / "gallery/001_image.jpg")
    pictures = [{"image": "gallery/001_image.jpg"}, {"image": "gallery/none.jpg", "label": "../../../secret.png"}]
    rows = [{"title": "x", "pictures": some} for some in pictures]
    write_json({"legend": [{"class": "pole", "color": [1, 2, 3]}], "images": rows}, folder / "gallery.json")
    found, run = sections(tmp_path)
    first, second = found["label_errors"]["shown"]
    assert (first["label"], first["prediction"]) == ("pole", "tree")
    assert first["pictures"][0][1].startswith("data:image/jpeg")
    assert [picture for _, picture in second["pictures"]] == [None, None]
    assert any("leads out of the folder" in problem for problem in run.folder.problems)
    page = write_page([tmp_path], tmp_path / "page.html").read_text()
    assert "1,234 areas" in page
    assert "97 %" in page
    assert "<b>.jpg" not in page


def test_what_has_another_shape_is_left_out_by_name(tmp_path):
    write_test(tmp_path)
    broken = CORRUPTIONS | {"cells": [{"kind": "fog"}]}
    write_json(RUN | {"metrics": {}, "corruptions": broken}, tmp_path / "test/corruptions/metrics.json")
    write_json(RUN | {"metrics": {}, "label_errors": LABEL_ERRORS}, tmp_path / "test/label_errors/metrics.json")
    found, run = sections(tmp_path)
    assert "corruptions" not in found
    assert found["label_errors"]["shown"] == [], "no gallery.json"
    assert any("corruptions.cells[0]" in problem for problem in run.folder.problems)
