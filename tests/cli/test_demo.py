"""The demo types what a user would type, stops at the first failure, and leaves a picture of before and after."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmstreet.cli import demo
from mmstreet.cli.commands import main
from mmstreet.report.side_by_side import write_side_by_side


def write_picture(path, color, size_wh=(64, 36)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh, color).save(path)
    return path


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """The commands that the demo runs, each checked by its own parser; files appear as the commands would write them."""
    monkeypatch.chdir(tmp_path)
    steps = []

    def run(command):
        name, *rest = command[3:]
        importlib.import_module(f"mmstreet.cli.{name}").parse_args(rest, name)
        steps.append(command[3:])
        if name == "mini":
            for i in range(6):
                write_picture(Path(rest[0], f"images/10k/val/val_{i}.jpg"), "white")
        if name == "predict":
            sources = next(Path(word).read_text().split() for word in rest if word.endswith(".txt"))
            for source in sources:
                write_picture(Path(rest[rest.index("--out") + 1], "overlays", Path(source).name), "blue" if "--config" in rest else "red")
        return 3 if name == "test" and Path("broken").exists() else 0

    monkeypatch.setattr(demo.subprocess, "call", run)
    return steps


def test_before_and_after_stand_side_by_side(typed, capsys):
    assert main(["demo", "--shown", "2", "--epochs", "1"]) == 0
    assert [step[0] for step in typed] == ["mini", "predict", "train", "test", "predict"]
    picture = np.asarray(Image.open("work_dirs/demo/before_after.jpg"))
    middle = picture[150, [250, 740, 1230]].astype(int)  # one place in each of three columns of 480 px
    assert np.abs(middle - [[255, 255, 255], [254, 0, 0], [0, 0, 254]]).max() < 8
    assert "work_dirs/demo/before_after.jpg" in capsys.readouterr().out
    typed.clear()
    assert main(["demo", "--epochs", "1"]) == 0
    assert typed[0][0] == "predict"  # the scenes are there already


def test_the_first_failure_ends_it(typed):
    Path("broken").touch()
    assert main(["demo"]) == 3
    assert typed[-1][0] == "test"


def test_mistakes_are_named(typed, capsys):
    assert main(["demo", "nowhere"]) == 1
    assert "there is no 'nowhere' to predict" in capsys.readouterr().err
    Path("data/mini/images/10k/val").mkdir(parents=True)
    assert main(["demo"]) == 1
    assert "is no mini set" in capsys.readouterr().err
    assert typed == []


def test_rows_have_a_picture_under_each_title(tmp_path):
    with pytest.raises(ValueError, match=r"each row needs 2 pictures.*\[1\]"):
        write_side_by_side([[write_picture(tmp_path / "a.png", "red")]], ("a", "b"), tmp_path / "out.jpg")
