"""Prediction without naming a model: the one that lies in the package, and what is said of it."""

import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from mmstreet.__main__ import main
from mmstreet.predict import Predictor, named_models
from mmstreet.predict.export import export_model
from mmstreet.predict.hub_model import hub_config
from mmstreet.predict.inference import load_trained
from tests.helpers.color_model import CLASSES, read_ids, render_colors, write_model, write_png
from tests.helpers.tiny_transformers import CITYSCAPES, SIDE, write_tiny
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
    monkeypatch.setattr(named_models, "SHIPPED_MODEL", shipped)
    image, truth = render_colors(3)
    assert main(["predict", str(write_png(tmp_path / "photo.png", image)), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "model: street: three weights, patches, mIoU 99.5, licence: CC0"
    assert json.loads((tmp_path / "out/run.json").read_text())["model"] == "street.onnx"
    predictor = Predictor()
    assert (predictor.name, predictor.classes) == ("street.onnx", CLASSES)
    np.testing.assert_array_equal(predictor(image).labels, truth)


def test_it_needs_neither_torch_nor_openmmlab(shipped, tmp_path):
    code = f"import mmstreet.predict.named_models as m, pathlib; m.SHIPPED_MODEL = pathlib.Path({str(shipped)!r})\n"
    image, truth = render_colors(4)
    write_png(tmp_path / "photos/a.png", image)
    command = [sys.executable, "-c", BLOCKED.replace("sys.exit(", code + "sys.exit("), "predict", str(tmp_path / "photos")]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "1 files: 1 predicted" in done.stdout
    np.testing.assert_array_equal(read_ids(tmp_path / "out/labels/a.png"), truth)


def test_an_exported_file_goes_to_the_option_or_before_the_source(shipped, tmp_path, capsys):
    source = str(write_png(tmp_path / "photo.png", render_colors(3)[0]))
    assert main(["predict", source, "--model", str(shipped), "--out", str(tmp_path / "a")]) == 0
    assert main(["predict", str(shipped), source, "--out", str(tmp_path / "b")]) == 0
    assert (tmp_path / "a/labels/photo.png").read_bytes() == (tmp_path / "b/labels/photo.png").read_bytes()
    with pytest.raises(SystemExit):
        main(["predict", str(shipped), source, "--model", str(shipped)])
    assert "two models" in capsys.readouterr().err


def test_an_installation_without_a_model_says_what_to_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(named_models, "SHIPPED_MODEL", tmp_path / "street.onnx")
    assert main(["predict", str(write_png(tmp_path / "photo.png", render_colors(3)[0])), "--out", str(tmp_path / "out")]) == 1
    assert "comes without a model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"scores": 3}', '{"licence": ""}'])
def test_a_card_that_says_nothing_is_left_out(tmp_path, text):
    (tmp_path / "m.json").write_text(text)
    assert named_models.describe_model(tmp_path / "m.onnx") is None


IMAGE = render_colors(5, (48, 80))[0]


def test_a_folder_of_transformers_predicts_the_streets_classes_as_the_library_does(tmp_path):
    import torch
    import transformers

    folder = write_tiny(tmp_path / "m", "segformer", CITYSCAPES[::-1])
    predictor = Predictor(str(folder), device="cpu")
    assert predictor.classes == CITYSCAPES
    assert predictor.palette[0].tolist() == [128, 64, 128]
    result = predictor(IMAGE)
    # Resized to the processor's size and normalised with its figures, by other code than ours.
    resized = cv2.resize(IMAGE, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1)[None] / 255
    pixels = (resized - np.array([0.485, 0.456, 0.406])[:, None, None]) / np.array([0.229, 0.224, 0.225])[:, None, None]
    model = transformers.SegformerForSemanticSegmentation.from_pretrained(folder).eval()
    with torch.no_grad():
        logits = model(pixel_values=torch.from_numpy(pixels).float()).logits.flip(1)
    for size_hw in ((SIDE, SIDE), IMAGE.shape[:2]):
        logits = torch.nn.functional.interpolate(logits, size=size_hw, mode="bilinear")
    assert (result.labels == logits[0].argmax(0).numpy()).mean() > 0.999


def test_a_name_on_the_hub_is_read_from_its_cache_and_its_licence_said(tmp_path):
    snapshot = tmp_path / "cache/hub/models--nvidia--tiny/snapshots/0123"
    write_tiny(snapshot, "segformer")
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("0123")
    write_png(tmp_path / "a.png", IMAGE)
    code = "import sys; from mmstreet.cli.commands import main; print(*[main([*sys.argv[1:], n]) for n in ('nvidia/tiny', 'nvidia/other')])"
    words = ["predict", str(tmp_path / "a.png"), "--out", str(tmp_path / "out"), "--model"]
    env = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=ROOT, env=env)
    assert done.stdout.splitlines()[-1] == "0 1", done.stderr
    assert "model: nvidia/tiny: 19 classes, licence: NVIDIA Source Code License" in done.stdout
    assert json.loads((tmp_path / "out/run.json").read_text())["model"] == "tiny"
    assert "`hf download nvidia/other config.json preprocessor_config.json model.safetensors --local-dir FOLDER`" in done.stderr
    assert [line for line in done.stderr.splitlines() if "nvidia/other" in line] == done.stderr.splitlines()[-1:]


def test_other_classes_stay_a_models_own_and_options_choose_a_table(tmp_path):
    folder = write_tiny(tmp_path, "segformer", ("road", "tree", "sofa"), processor=dict(size={"shortest_edge": 32, "longest_edge": 90}))
    cfg = hub_config(str(folder))
    assert "classes" not in cfg.model
    assert cfg.test_dataloader.dataset.pipeline[1] == dict(type="Resize", scale=(90, 32), keep_ratio=True)
    assert Predictor(str(folder), device="cpu").classes == ("road", "tree", "sofa")
    chosen = Predictor(str(folder), device="cpu", cfg_options={"model.classes": "camvid11"})
    assert set(np.unique(chosen(IMAGE).labels)) <= {chosen.classes.index("road"), chosen.classes.index("tree")}


def test_eomt_looks_through_windows_or_at_a_padded_image_as_its_processor_says(tmp_path):
    import torch

    edges = {"shortest_edge": SIDE, "longest_edge": None}
    folder = write_tiny(tmp_path, "eomt", processor=dict(size=edges, do_split_image=True, image_mean=[0.5] * 3, image_std=[0.5] * 3))
    wide = render_colors(6, (SIDE, SIDE * 2))[0]
    predictor = Predictor(str(folder), device="cpu", keep_probs=True)
    halves = [predictor(wide[:, start : start + SIDE]).probs for start in (0, SIDE)]
    np.testing.assert_allclose(predictor(wide).probs, np.concatenate(halves, 2), atol=1e-5)
    assert len(np.unique(predictor(render_colors(6, (90, 200))[0]).labels)) >= 1
    edges["longest_edge"] = SIDE
    write_tiny(tmp_path, "eomt", processor=dict(size=edges, image_mean=[0.5] * 3, image_std=[0.5] * 3))
    padded = Predictor(str(folder), device="cpu").model
    ((_, batch),) = padded.make_batches([wide], 1.0)
    assert batch["inputs"].shape == (1, 3, SIDE, SIDE)
    assert torch.equal(batch["inputs"][..., SIDE // 2 :, :], torch.zeros(1, 3, SIDE // 2, SIDE))
    assert padded.predict_labels([wide])[0].shape == wide.shape[:2]


def test_a_model_without_a_trained_classifier_and_a_config_without_weights_are_refused(tmp_path):
    folder = write_tiny(tmp_path, "segformer")
    weights = load_file(folder / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "classifier" not in name}, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"has no trained classifier \(2 tensors are missing"):
        Predictor(str(folder))
    with pytest.raises(ValueError, match="needs a checkpoint; exported files"):
        Predictor("deeplabv3_bdd_v3")
    with pytest.raises(ValueError, match="needs a checkpoint; exported files"):
        Predictor("gone.py")
