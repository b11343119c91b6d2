"""One bad file ends no folder: it is named, the exit code is 1, and the rest is done; what cannot be written leaves no part behind."""

import errno
import json
import os

import cv2
import numpy as np
import pytest

from mmstreet.__main__ import main
from mmstreet.predict.video import VideoWriter, open_video
from tests.helpers.color_model import read_ids, render_colors, write_model, write_png
from tests.hostile.predictions import png_of_size
from tests.predict.test_video import write_video


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


def predict(model, source, *more):
    return main(["predict", str(source), "--config", model[0], "--checkpoint", model[1], "--device", "cpu", *map(str, more)])


def report(out):
    return json.loads((out / "summary.json").read_text())


def test_a_tiny_file_that_announces_four_gigapixels_ends_no_folder(model, tmp_path, capsys):
    write_png(tmp_path / "photos/a.png", render_colors(0)[0])
    (tmp_path / "photos/b.png").write_bytes(png_of_size(65535, 65535))
    write_png(tmp_path / "photos/c.png", render_colors(1)[0])
    assert predict(model, tmp_path / "photos", "--out", tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert "2 predicted, 0 finished before, 1 failed" in printed.out
    assert "b.png is 65535x65535" in printed.err
    assert [row["source"] for row in report(tmp_path / "out")["failed"]] == [str(tmp_path / "photos/b.png")]


@pytest.mark.parametrize("error", [cv2.error("a"), KeyError("x"), MemoryError(), TypeError("b"), RuntimeError("c")])
def test_whatever_one_picture_raises_the_others_are_predicted(model, tmp_path, monkeypatch, capsys, error):
    from mmstreet.predict.semantic_model import SemanticModel

    truth = {}
    for i in range(3):
        image, truth[i] = render_colors(i)
        write_png(tmp_path / f"photos/{i}.png", image)
    bad, original = render_colors(1)[0], SemanticModel.begin_labels

    def fail(self, images):
        if any(np.array_equal(image, bad) for image in images):
            raise error
        return original(self, images)

    monkeypatch.setattr(SemanticModel, "begin_labels", fail)
    assert predict(model, tmp_path / "photos", "--out", tmp_path / "out", "--batch-size", 3) == 1
    assert "2 predicted, 0 finished before, 1 failed" in capsys.readouterr().out
    for i in (0, 2):
        np.testing.assert_array_equal(read_ids(tmp_path / f"out/labels/{i}.png"), truth[i])


def test_a_full_disk_is_said_once_and_leaves_no_part_of_a_file(model, tmp_path, monkeypatch, capsys):
    for i in range(3):
        write_png(tmp_path / f"photos/{i}.png", render_colors(i)[0])
    replace = os.replace

    def full(source, target):
        if "labels" in str(target) and str(target).endswith("1.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("mmstreet.files.atomic.os.replace", full)
    assert predict(model, tmp_path / "photos", "--out", tmp_path / "out") == 1
    printed = capsys.readouterr()
    assert "2 predicted, 0 finished before, 1 failed" in printed.out
    assert "disk full: '" in printed.err
    assert sorted(path.name for path in (tmp_path / "out/labels").iterdir()) == ["0.png", "2.png"]

    def fuller(source, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mmstreet.files.atomic.os.replace", fuller)
    assert predict(model, tmp_path / "photos", "--out", tmp_path / "out", "--overwrite") == 1
    assert [line for line in capsys.readouterr().err.splitlines() if line.startswith("mmstreet predict: disk full: '")]
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.name.startswith(".")]


def test_a_video_that_the_disk_cut_off_takes_no_name(tmp_path, monkeypatch):
    original = VideoWriter.close

    def cut(self):
        original(self)
        with open(self.path, "r+b") as file:
            file.truncate(self.path.stat().st_size // 2)

    def film(path, count):
        with open_video(path, fps=5) as video:
            for _ in range(count):
                video.write(render_colors(0, (48, 64))[0])

    film(tmp_path / "whole.mp4", 1)
    assert cv2.VideoCapture(str(tmp_path / "whole.mp4")).read()[0]
    monkeypatch.setattr(VideoWriter, "close", cut)
    with pytest.raises(OSError, match=r"disk full: '.*cut.mp4' was not written"):
        film(tmp_path / "cut.mp4", 5)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.mp4"]


def test_a_video_that_fails_leaves_its_record_and_the_next_is_predicted(model, tmp_path, capsys):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos/a.mp4").write_bytes(b"nothing")
    write_video(tmp_path / "videos/b.mp4", count=2)
    assert predict(model, tmp_path / "videos", "--out", tmp_path / "out", "--no-overlays") == 1
    assert (report(tmp_path / "out")["done"], len(report(tmp_path / "out")["failed"])) == (1, 1)
