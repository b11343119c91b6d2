"""``mmstreet test --label-errors``: labels damaged on purpose come first, with pictures of them."""

import csv
import json
import math

import numpy as np
import pytest
from PIL import Image

from tests.helpers.color_model import SPLITS, render_colors, write_model, write_png

BOXES = {3: (4, 2, 10, 8), 5: (20, 10, 32, 16)}


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Config and checkpoint, and two images of the test split with a patch of a wrong class."""
    monkeypatch.chdir(tmp_path)
    for split, seeds in (("val", range(2)), ("test", range(3, 6))):
        for seed in seeds:
            image, labels = render_colors(seed)
            if seed in BOXES:
                x1, y1, x2, y2 = BOXES[seed]
                labels[y1:y2, x1:x2] = (labels[y1:y2, x1:x2] + 1) % 3
            write_png(tmp_path / f"images/{split}/{seed}.jpg", image)
            write_png(tmp_path / f"labels/{split}/{seed}.png", labels)
    return write_model(tmp_path / "model", change=SPLITS.format(root=str(tmp_path)))


def test_the_damaged_patches_are_listed_and_pictured(model, run, tmp_path):
    run("test", *model, "--out", "out", "--label-errors", "3")
    content = json.loads((tmp_path / "out/label_errors/metrics.json").read_text())
    found = content["label_errors"]
    assert found["temperature"] is None
    assert 1 <= len(found["suspects"]) <= 3 <= found["areas"]
    for area in found["suspects"]:
        x1, y1, x2, y2 = BOXES[int(area["img_path"].rpartition("/")[2][0])]
        assert x1 <= area["box_xyxy"][0] < area["box_xyxy"][2] <= x2
        assert y1 <= area["box_xyxy"][1] < area["box_xyxy"][3] <= y2
    assert [row["img_path"].rpartition("/")[2] for row in found["images"]] == ["5.jpg", "3.jpg", "4.jpg"]
    with open(tmp_path / "out/label_errors/suspects.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(int(row["area"]), int(row["x1"])) for row in rows] == [(area["area"], area["box_xyxy"][0]) for area in found["suspects"]]
    gallery = json.loads((tmp_path / "out/label_errors/gallery.json").read_text())
    assert len(gallery["images"]) == len(found["suspects"])
    for row, area in zip(gallery["images"], found["suspects"]):
        maps = {kind: np.asarray(Image.open(tmp_path / "out/label_errors" / name)) for kind, name in row["pictures"].items()}
        classes = ["red thing", "green thing", "blue thing"]
        differ = (maps["label"] == classes.index(area["label"])) & (maps["prediction"] == classes.index(area["prediction"]))
        assert differ.sum() >= area["area"]
        assert maps["image"].ndim == 3
    page = (tmp_path / "out/report.html").read_text()
    assert "Labels to look at" in page
    assert "outline of the area" in page


def test_the_temperature_of_the_checkpoint_is_used(model, run, tmp_path):
    from mmstreet.files.atomic import write_json
    from mmstreet.predict.identity import identify_file

    run("test", *model, "--out", "plain", "--label-errors", "1", "--worst", "0")
    write_json(
        {"temperature": 4.0, "sha256": identify_file(model[1])["sha256"], "fitted": {}, "checked": None},
        tmp_path / "model/colors.calibration.json",
    )
    run("test", *model, "--out", "out", "--label-errors", "1", "--worst", "0")
    plain, soft = (json.loads((tmp_path / name / "label_errors/metrics.json").read_text())["label_errors"] for name in ("plain", "out"))
    assert soft["temperature"] == 4.0
    (before,), (after,) = plain["suspects"], soft["suspects"]
    assert after["score"] == pytest.approx(before["score"] / 4, rel=1e-4)
    assert after["confidence"] < before["confidence"]
    assert not math.isnan(after["label_probability"])


def test_it_works_on_other_splits_too(model, run, tmp_path):
    run("test", *model, "--out", "out", "--label-errors", "--splits", "val", "test", "--worst", "0")
    for split in ("val", "test"):
        assert (tmp_path / "out" / split / "label_errors/metrics.json").is_file()
    assert (tmp_path / "out/report.html").read_text().count("Labels to look at") == 2


def test_a_senseless_number_is_refused(model, capsys):
    from mmstreet.cli.commands import main

    with pytest.raises(SystemExit):
        main(["test", *model, "--label-errors", "0"])
    assert "at least 1, not 0" in capsys.readouterr().err
