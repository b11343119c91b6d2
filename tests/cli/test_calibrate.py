"""``mmstreet calibrate``, and what test, predict and export make of the temperature, on a model whose scores are known."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmstreet.files.atomic import write_json
from mmstreet.files.images import read_rgb
from mmstreet.predict import Predictor
from mmstreet.predict.exported import load_exported
from tests.helpers.color_model import SPLITS, read_ids, render_colors, write_model, write_png


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Config and checkpoint; of the labels of both splits every fifth pixel is wrong."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split, seeds in (("val", range(3)), ("test", range(3, 6))):
        for seed in seeds:
            image, labels = render_colors(seed)
            labels = np.where(rng.random(labels.shape) < 0.2, (labels + 1) % 3, labels).astype(np.uint8)
            write_png(tmp_path / f"images/{split}/{seed}.jpg", image)
            write_png(tmp_path / f"labels/{split}/{seed}.png", labels)
    return write_model(tmp_path / "model", change=SPLITS.format(root=str(tmp_path)))


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def logits_of(folder):
    """Scores and labels of a split: the model's scores are the colours by ten."""
    images = [read_rgb(path) for path in sorted((folder / "images/val").iterdir())]
    labels = [read_ids(path) for path in sorted((folder / "labels/val").iterdir())]
    return torch.tensor(np.stack(images).reshape(-1, 3) / 10.0), torch.tensor(np.stack(labels).reshape(-1).astype(np.int64))


def test_the_stored_temperature_is_the_best_of_its_split_and_is_measured_on_the_other(model, run, tmp_path):
    run("calibrate", *model, "--split", "val", "--check", "test")
    content = json.loads((tmp_path / "model/colors.calibration.json").read_text())
    logits, labels = logits_of(tmp_path)
    losses = {t: torch.nn.functional.cross_entropy(logits / t, labels).item() for t in np.geomspace(1, 40, 400)}
    assert content["temperature"] == pytest.approx(min(losses, key=losses.get), rel=0.02)
    assert content["fitted"]["scores"]["NLL"] == pytest.approx(torch.nn.functional.cross_entropy(logits, labels).item(), rel=1e-3)
    checked = content["checked"]["scores"]
    assert checked["NLL_calibrated"] < checked["NLL"] / 2
    assert checked["ECE_calibrated"] < checked["ECE"] / 2
    assert checked["accuracy_calibrated"] == checked["accuracy"]


def test_data_in_another_folder_gives_the_same_temperature(model, run, tmp_path):
    run("calibrate", *model)
    written = tmp_path / "model/colors.calibration.json"
    before = written.read_text()
    written.unlink()
    (tmp_path / "elsewhere").mkdir()
    for name in ("images", "labels"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    run("calibrate", *model, "--data", "elsewhere")
    assert json.loads(written.read_text()) == json.loads(before)


def test_a_test_measures_both_changes_no_iou_and_shows_the_diagram(model, run, tmp_path):
    run("test", *model, "--out", "plain")
    run("calibrate", *model)
    run("test", *model, "--out", "out", "--calibration")
    plain, found = (json.loads((tmp_path / name / "metrics.json").read_text())["metrics"] for name in ("plain", "out"))
    assert {name: found[name] for name in plain} == plain
    part = json.loads((tmp_path / "out/calibration/metrics.json").read_text())["calibration"]
    assert [one["scores"]["ECE"] for one in part["measured"]] == [found["calibration/ECE"], found["calibration/ECE_calibrated"]]
    assert sum(row["pixels"] for row in part["measured"][1]["reliability"]) == part["pixels"] == 3 * 24 * 36
    page = (tmp_path / "out/report.html").read_text()
    assert "Share of right pixels over confidence" in page
    assert "Error among the most confident pixels" in page


def test_predict_and_export_use_the_temperature(model, run, tmp_path):
    write_json({"temperature": 10.0, "sha256": sha256(model[1])}, tmp_path / "model/colors.calibration.json")
    source = tmp_path / "images/test"
    run("predict", source, "-c", model[0], "-k", model[1], "-o", "out", "--device", "cpu", "--save-confidence", "--abstain", "0.75")
    image = read_rgb(source / "3.jpg")
    probs = torch.tensor(image / 100.0).softmax(-1).numpy()  # colours by ten, divided by the temperature
    confidence = cv2.imread("out/confidence/3.png", cv2.IMREAD_UNCHANGED)
    assert np.abs(confidence / 255 - probs.max(-1)).max() < 0.003
    entropy = cv2.imread("out/entropy/3.png", cv2.IMREAD_UNCHANGED)
    assert np.abs(entropy / 255 + (probs * np.log(probs)).sum(-1) / np.log(3)).max() < 0.003
    labels, sure = read_ids("out/labels/3.png"), np.abs(probs.max(-1) - 0.75) > 1e-4
    expected = np.where(probs.max(-1) < 0.75, 255, image.argmax(-1))
    assert np.array_equal(labels[sure], expected[sure])
    assert 0 < (labels == 255).mean() < 1

    run("export", *model, "--images", source, "--out", "model.onnx")
    assert load_exported("model.onnx", device="cpu").temperature == 10.0
    result = Predictor("model.onnx", keep_confidence=True)(image)
    assert result.confidence == pytest.approx(probs.max(-1), abs=1e-4)


def test_a_temperature_of_other_weights_is_refused_everywhere(model, refusal, tmp_path):
    write_json({"temperature": 10.0, "sha256": "0" * 64}, tmp_path / "model/colors.calibration.json")
    for words in (
        ("test", *model, "--calibration"),
        ("predict", tmp_path / "images/test", "-c", model[0], "-k", model[1], "-o", "out", "--device", "cpu"),
    ):
        assert "was fitted to other weights" in refusal(*words)


def test_a_split_is_not_checked_on_itself(model, refusal):
    assert "another split" in refusal("calibrate", *model, "--split", "val", "--check", "val")


@pytest.mark.parametrize("value", [0, 1, -0.5])
def test_a_confidence_lies_between_0_and_1(model, value):
    with pytest.raises(ValueError, match="abstain must be a confidence between 0 and 1"):
        Predictor(*model, device="cpu", abstain=value)
