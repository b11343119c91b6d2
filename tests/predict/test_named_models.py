"""Prediction without naming a model: the one that lies in the package, and what is said of it."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mmstreet.__main__ import main
from mmstreet.predict import Predictor, named_models
from mmstreet.predict.export import export_model
from mmstreet.predict.inference import load_trained
from tests.helpers.color_model import CLASSES, render_colors, write_model, write_png
from tests.predict.test_export import BLOCKED, ROOT

CARD = {"name": "street", "architecture": "three weights", "trained_on": "patches", "licence": "CC0", "scores": {"mIoU": 99.5}}


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A folder as in the package, with a model of hand-set weights."""
    folder = tmp_path_factory.mktemp("shipped")
    export_model(
        load_trained(*write_model(folder / "model"), device="cpu"), [render_colors(0)[0]], folder / "street.onnx", precision="half"
    )
    (folder / "street.json").write_text(json.dumps(CARD))
    return folder / "street.onnx"


def test_a_photograph_alone_is_enough(shipped, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(named_models, "SHIPPED", shipped)
    image, truth = render_colors(3)
    assert main(["predict", str(write_png(tmp_path / "photo.png", image)), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "model: street: three weights, patches, mIoU 99.5, licence: CC0"
    assert json.loads((tmp_path / "out/run.json").read_text())["model"] == "street.onnx"
    predictor = Predictor()
    assert (predictor.name, predictor.classes) == ("street.onnx", CLASSES)
    np.testing.assert_array_equal(predictor(image).labels, truth)


def test_it_needs_neither_torch_nor_openmmlab(shipped, tmp_path):
    code = f"import mmstreet.predict.named_models as m, pathlib; m.SHIPPED = pathlib.Path({str(shipped)!r})\n"
    image, truth = render_colors(4)
    write_png(tmp_path / "photos/a.png", image)
    command = [sys.executable, "-c", BLOCKED.replace("sys.exit(", code + "sys.exit("), "predict", str(tmp_path / "photos")]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "1 files: 1 predicted" in done.stdout
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out/labels/a.png"), cv2.IMREAD_UNCHANGED), truth)


def test_an_exported_file_goes_to_the_option_or_before_the_source(shipped, tmp_path, capsys):
    source = str(write_png(tmp_path / "photo.png", render_colors(3)[0]))
    assert main(["predict", source, "--model", str(shipped), "--out", str(tmp_path / "a")]) == 0
    assert main(["predict", str(shipped), source, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a/labels/photo.png").read_bytes() == (tmp_path / "b/labels/photo.png").read_bytes()
    with pytest.raises(SystemExit):
        main(["predict", str(shipped), source, "--model", str(shipped)])
    assert "two models" in capsys.readouterr().err


def test_an_installation_without_a_model_says_what_to_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(named_models, "SHIPPED", tmp_path / "street.onnx")
    assert main(["predict", str(write_png(tmp_path / "photo.png", render_colors(3)[0])), "--out", str(tmp_path / "out")]) == 1
    assert "comes without a model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"scores": 3}', '{"licence": ""}'])
def test_a_card_that_says_nothing_is_left_out(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    assert named_models.describe_model(tmp_path / "m.onnx") is None
