"""``mmstreet test`` on exported files: the numbers of the checkpoint, with slices, intervals, calibration and refiners."""

import json

import numpy as np
import pytest
from mmengine.config import Config

from mmstreet.cli.commands import main
from mmstreet.engine.errors import LaunchError
from mmstreet.files.atomic import write_json
from mmstreet.predict.exported_segmentor import use_exported
from mmstreet.predict.identity import identify_file
from tests.helpers.color_model import render_colors, write_model, write_png

DATA = """
data_root = {root!r}
test_dataloader["dataset"].update(data_root=data_root, test_mode=True, pipeline=[
    dict(type="LoadImageFromFile"), dict(type="Resize", scale=(80, 48)), dict(type="LoadAnnotations"), dict(type="PackSegInputs"),
])
test_dataloader.update(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False))
test_evaluator = dict(type="mmstreet.StreetIoUMetric")
test_cfg = dict()
custom_hooks = [dict(type="EMAHook")]
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Config, checkpoint and both exported files, with a temperature; every fifth pixel of the labels is wrong."""
    root = tmp_path_factory.mktemp("exported")
    rng = np.random.default_rng(0)
    for seed in range(3):
        image, labels = render_colors(seed)
        labels = np.where(rng.random(labels.shape) < 0.2, (labels + 1) % 3, labels).astype(np.uint8)
        write_png(root / f"images/{seed}.jpg", image)
        write_png(root / f"labels/{seed}.png", labels)
    config, checkpoint = write_model(root / "model", change=DATA.format(root=str(root)))
    write_json({"temperature": 4.0, "sha256": identify_file(checkpoint)["sha256"]}, root / "model/colors.calibration.json")
    for kind in ("onnx", "torchscript"):
        words = ["--format", kind, "--out", f"{root}/colors.{kind}", "--images", f"{root}/images", "--count", "2"]
        assert main(["export", config, checkpoint, *words]) == 0
    return root, config, checkpoint


def metrics_of(out):
    return {path.parent.name: json.loads(path.read_text()) for path in out.rglob("metrics.json")}


@pytest.mark.parametrize("name", ["colors.onnx", "colors.torchscript"])
def test_an_exported_file_has_the_numbers_of_its_checkpoint(model, run, tmp_path, monkeypatch, name):
    root, config, checkpoint = model
    monkeypatch.chdir(tmp_path)
    options = ["--by", "row", "brightness", "--calibration", "--label-errors", "5", "--corruptions", "contrast", "--quick"]
    run("test", config, root / name, "--out", "file", *options)
    run("test", config, checkpoint, "--out", "pth", *options)
    file, pth = metrics_of(tmp_path / "file"), metrics_of(tmp_path / "pth")
    assert file["file"]["metrics"] == pytest.approx(pth["pth"]["metrics"], abs=0.05)
    assert 50 < file["file"]["metrics"]["mIoU"] < 95
    assert file["file"]["checkpoint"] == str(root / name)
    for attribute in ("row", "brightness"):
        pairs = zip(file["file"]["evaluation"]["slices"][attribute], pth["pth"]["evaluation"]["slices"][attribute])
        assert all(a["mIoU"] == pytest.approx(b["mIoU"], abs=0.3) for a, b in pairs)
    assert file["file"]["evaluation"]["intervals"]["images"] == 3
    assert [part["temperature"] for part in file["calibration"]["calibration"]["measured"]] == [1.0, 4.0]
    for a, b in zip(*(found["corruptions"]["corruptions"]["cells"] for found in (file, pth)), strict=True):
        assert (a["kind"], a["severity"], a["mIoU"]) == (b["kind"], b["severity"], pytest.approx(b["mIoU"], abs=0.3))
    areas = [[area["area"] for area in found["label_errors"]["label_errors"]["suspects"]] for found in (file, pth)]
    assert areas[0] == areas[1] != []
    assert (tmp_path / "file/images/index.json").is_file()
    assert name in (tmp_path / "file/report.html").read_text()


def test_a_config_of_other_classes_or_of_instances_is_refused(model, refusal, tmp_path, monkeypatch):
    root, config, _ = model
    monkeypatch.chdir(tmp_path)
    other = (root / "model/colors.py").read_text() + 'test_dataloader["dataset"]["metainfo"] = dict(classes=("a", "b", "c"))\n'
    (tmp_path / "other.py").write_text(other)
    said = refusal("test", "other.py", root / "colors.onnx", "--out", "o")
    assert "has the classes red thing, green thing, blue thing; those of the data set are a, b, c" in said
    with pytest.raises(LaunchError, match="is a semantic model; the config"):
        use_exported(Config({"load_from": "colors.onnx", "default_scope": "mmdet"}))
    assert "does not exist" in refusal("test", config, "gone.onnx", "--out", "o")
    (tmp_path / "bad.onnx").write_bytes(b"no")
    assert "cannot be read as an ONNX model" in refusal("test", config, "bad.onnx", "--out", "o")
