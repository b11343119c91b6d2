"""Pictures of one class, before and after."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.class_pictures import FALSE, FOUND, MISSED, draw_class, main

NAMES = ["road", "pole"]


@pytest.fixture
def folders(tmp_path):
    """An image whose left column is pole; one prediction finds half of it, one with other class ids all and more."""
    truth = np.zeros((4, 4), np.uint8)
    truth[:, 0] = 5  # a pole in bdd100k_sem19
    truth[0, 3] = 255
    half, more = np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8)
    half[:2, 0] = 1
    more[:, 0] = more[:, 3] = 0
    for name, values in {"truth/a.png": truth, "half/labels/deep/a.png": half, "more/labels/a.png": more}.items():
        (tmp_path / name).parent.mkdir(parents=True)
        Image.fromarray(values).save(tmp_path / name)
    for name, classes in {"half": NAMES, "more": NAMES[::-1]}.items():
        (tmp_path / name / "run.json").write_text(json.dumps({"classes": classes}))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (4, 4), (100, 100, 100)).save(tmp_path / "images/a.png")
    return tmp_path


def call(folders, monkeypatch, name="pole", **options):
    said = dict(images=folders / "images", truth=folders / "truth", table="bdd100k_sem19", out=folders / "out.jpg") | options
    words = [word for key, value in said.items() for word in (f"--{key}", str(value))]
    monkeypatch.setattr("sys.argv", ["class_pictures", name, *words, "--predicted", str(folders / "half"), str(folders / "more")])
    main()


def test_scores_are_of_the_class_by_each_folders_own_table(folders, monkeypatch, capsys):
    call(folders, monkeypatch)
    said = capsys.readouterr().out
    assert "half: pole 50.0 IoU, 1 images; more: pole 57.1 IoU, 1 images" in said  # 2 of 4; 4 of 4 + 3, the ignored pixel left out
    assert Image.open(folders / "out.jpg").width == 3 * 480 + 4 * 8


def test_a_class_that_a_prediction_lacks_is_named(folders, monkeypatch):
    with pytest.raises(SystemExit, match=r"half' has no class 'car'; it has road, pole"):
        call(folders, monkeypatch, "car")


def test_colours_say_found_missed_and_false():
    truth, predicted = np.array([[1, 1, 0, 0, 1]], bool), np.array([[1, 0, 1, 0, 0]], bool)
    drawn = draw_class(np.full((1, 5, 3), 100, np.uint8), truth, predicted, np.array([[0, 0, 0, 0, 1]], bool))
    assert drawn[0].tolist() == [list(FOUND), list(MISSED), list(FALSE), [50, 50, 50], [50, 50, 50]]
