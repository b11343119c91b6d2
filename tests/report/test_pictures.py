"""Single pictures show what the joined page shows."""

import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.report.panels import IGNORED, NO_CLASS, WRONG, Panel
from mmstreet.report.pictures import write_panels, write_picture

PALETTE = [[200, 0, 0], [0, 200, 0]]


def make_panel():
    labels = np.array([[0, 0, 1, 255], [2, 2, 1, 1]]).repeat(8, 0).repeat(8, 1)
    preds = np.array([[0, 1, 1, 1], [0, 2, 0, 1]]).repeat(8, 0).repeat(8, 1)
    return Panel(np.full((40, 80, 3), 120, np.uint8), labels, preds, "a <b>.jpg")


def write(folder, **more):
    return write_panels([make_panel()], names=("road", "car"), palette=PALETTE, scores=[12.5], folder=folder, **more)


def cells(path):
    return np.array(Image.open(path).convert("RGB"))[4::8, 4::8].astype(int)


def test_truth_prediction_and_error_are_painted_cell_by_cell(tmp_path):
    index = json.loads(write(tmp_path / "worst")[0].read_text())
    (row,) = index["images"]
    assert (row["title"], row["mIoU"]) == ("a <b>.jpg", 12.5)
    truth = cells(tmp_path / "worst" / row["truth"])
    assert truth.tolist() == [[[200, 0, 0], [200, 0, 0], [0, 200, 0], list(IGNORED)], [list(NO_CLASS)] * 2 + [[0, 200, 0]] * 2]
    error = cells(tmp_path / "worst" / row["error"])
    wrong = np.abs(error - WRONG).max(-1) < 30
    assert wrong.tolist() == [[False, True, False, False], [True, False, True, False]]
    assert row["wrong"] == pytest.approx(100 * 3 / 7)
    assert index["legend"] == [{"class": "road", "color": [200, 0, 0]}, {"class": "car", "color": [0, 200, 0]}]


def test_background_outside_the_scope_is_no_error(tmp_path):
    (row,) = json.loads(write(tmp_path, background_scored=False)[0].read_text())["images"]
    assert row["wrong"] == pytest.approx(100 * 2 / 5)


def test_wide_pictures_are_made_smaller_and_label_maps_keep_their_colours(tmp_path):
    wide = np.zeros((10, 1000, 3), np.uint8)
    wide[:, 500:] = 255
    small = np.array(Image.open(write_picture(wide, tmp_path / "new" / "a.png", width_px=100)))
    assert small.shape == (1, 100, 3)
    assert set(np.unique(small)) == {0, 255}
    assert Image.open(write_picture(wide[:, :50], tmp_path / "b.jpg", width_px=100)).size == (50, 10)
