"""``mmstreet push``: the folder and its card, what it is good for afterwards, and a hub that is stood for by a folder."""

import json
import shutil
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pytest
import torch
import yaml
from mmengine.registry import MODELS

from mmstreet.__main__ import main
from mmstreet.files.hub import find_exported
from mmstreet.predict import Predictor
from mmstreet.predict.inference import load_trained
from mmstreet.predict.model_card import render_card
from tests.helpers.color_model import CLASSES, PALETTE, render_colors, write_model, write_png
from tests.helpers.tiny_transformers import SIDE, write_tiny

IMAGE, TRUTH = render_colors(3, (40, 60))


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A trained model with an image and the metrics of its test; returns the words of the command."""
    monkeypatch.chdir(tmp_path)
    config, checkpoint = write_model(tmp_path / "run")
    write_png(tmp_path / "photos/a.png", IMAGE)
    (tmp_path / "run/test").mkdir()
    metrics = {"checkpoint": checkpoint, "metrics": {"mIoU": 71.234, "aAcc": 95.0, "IoU/red thing": 80.06, "IoU/blue thing": None}}
    (tmp_path / "run/test/metrics.json").write_text(json.dumps(metrics))
    return ["push", config, checkpoint, "me/colors", "--licence", "cc-by-4.0", "--images", str(tmp_path / "photos")]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The hub's interface, a folder behind it."""

    def create_repo(self, name, *, private=None, exist_ok=False):
        assert exist_ok
        (tmp_path / "hub" / name).mkdir(parents=True, exist_ok=True)
        calls.append((name, private))
        return f"https://huggingface.co/{name}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        shutil.copytree(folder_path, tmp_path / "hub" / repo_id, dirs_exist_ok=True)

    calls = []
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
    monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "a token")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub", calls


def header(text):
    return yaml.safe_load(text.split("---")[1])


def test_what_arrives_predicts_in_both_ways_and_says_what_it_is(run, hub, capsys):
    assert main([*run, "--private"]) == 0
    assert "uploaded to https://huggingface.co/me/colors" in capsys.readouterr().out
    folder, calls = hub[0] / "me/colors", hub[1]
    assert calls == [("me/colors", True)]
    names = {"README.md", "LICENSE", "classes.json", "config.py", "metrics.json", "model.onnx", "model.safetensors", "model_folder.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "classes.json").read_text())["classes"] == list(CLASSES)
    exported = Predictor(str(folder))
    assert exported.about == "me/colors: FCNHead on SameColors, mIoU 71.23, licence: cc-by-4.0"
    trained = Predictor(folder / "config.py", folder / "model.safetensors", device="cpu")
    for predictor in (exported, trained):
        assert predictor.classes == CLASSES
        assert predictor.palette.tolist() == PALETTE
        np.testing.assert_array_equal(predictor(IMAGE).labels, TRUTH)
    card = (folder / "README.md").read_text()
    head = header(card)
    assert (head["license"], head["library_name"], head["pipeline_tag"]) == ("cc-by-4.0", "mmstreet", "image-segmentation")
    assert head["model-index"][0]["results"][0]["metrics"][0] == {"type": "mean_iou", "name": "mIoU", "value": 71.23}
    assert "| 0 | red thing | 80.1 |" in card
    assert "| 2 | blue thing | – |" in card
    assert "me/colors is licensed under: cc-by-4.0" in (folder / "LICENSE").read_text()


def test_a_model_of_transformers_goes_back_as_transformers_reads_it(run, tmp_path, capsys):
    import transformers

    source = write_tiny(tmp_path / "tiny", "segformer")
    config, checkpoint = tmp_path / "hub_config.py", tmp_path / "trained.pth"
    config.write_text(
        f"""
default_scope = "mmseg"
model = dict(type="mmstreet.TransformersSegmentor", model={str(source)!r}, classes=("road", "tree"), head="new")
_meta = dict(classes=("road", "tree"), palette=[[1, 2, 3], [4, 5, 6]])
test_dataloader = dict(dataset=dict(type="BaseSegDataset", metainfo=_meta, pipeline=[
    dict(type="mmstreet.LoadImage"), dict(type="Resize", scale=({SIDE}, {SIDE}), keep_ratio=False), dict(type="PackSegInputs")]))
"""
    )
    model = MODELS.build(dict(type="mmstreet.TransformersSegmentor", model=str(source), classes=("road", "tree"), head="new"))
    torch.save({"state_dict": model.state_dict(), "meta": {"dataset_meta": {"classes": ("road", "tree")}}}, checkpoint)
    words = ["push", str(config), str(checkpoint), "me/trees", "--licence", "Own terms", "--no-upload", *run[-2:]]
    assert main(words) == 0
    assert "no metrics.json of this checkpoint" in capsys.readouterr().out
    folder = tmp_path / "work_dirs/push/trees"
    network = transformers.AutoModelForSemanticSegmentation.from_pretrained(folder)
    assert network.config.id2label == {0: "road", 1: "tree"}
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, model.backbone.network.state_dict()[name])
    look = json.loads((folder / "preprocessor_config.json").read_text())
    assert look["image_mean"] == pytest.approx([0.485, 0.456, 0.406])
    again = Predictor(str(folder), device="cpu")
    resized = load_trained(config, checkpoint, device="cpu")
    resized.cfg.test_dataloader.dataset.pipeline.pop(1)
    np.testing.assert_array_equal(again(IMAGE).labels, resized.predict_labels([IMAGE])[0])
    head = header((folder / "README.md").read_text())
    assert (head["license"], head["license_name"]) == ("other", "Own terms")


def test_a_second_push_replaces_the_folder_and_no_other_is_touched(run, tmp_path, capsys):
    for _ in range(2):
        assert main([*run, "--no-upload", "--folder", "out", "--half"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("years")
    assert main([*run, "--no-upload", "--folder", "mine"]) == 1
    assert "'mine' is there already, and no folder of mmstreet push" in capsys.readouterr().err
    assert (tmp_path / "mine/thesis.tex").read_text() == "years"


def test_a_model_that_cannot_be_exported_is_pushed_without_that_file(run, tmp_path, capsys):
    assert main([*run, "--no-upload", "--cfg-options", "model.test_cfg.mode=slide", "model.test_cfg.crop_size=(8,8)",
                 "model.test_cfg.stride=(4,4)"]) == 0  # fmt: skip
    assert "note: model.onnx is left out: this config predicts in sliding windows" in capsys.readouterr().out
    assert not (tmp_path / "work_dirs/push/colors/model.onnx").exists()
    assert find_exported(tmp_path / "work_dirs/push/colors") is None


def test_without_token_or_network_it_is_one_sentence(run, hub, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert main(run) == 1
    assert "log in with `hf auth login`" in capsys.readouterr().err
    assert not (tmp_path / "work_dirs").exists(), "before any work"
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "a token")

    def offline(self, *args, **more):
        raise ConnectionError("no route to host\nand more")

    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", offline)
    assert main(run) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert (
        "was not uploaded (ConnectionError: no route to host); the folder is complete: `hf upload me/colors work_dirs/push/colors`"
        in said[0]
    )
    assert (tmp_path / "work_dirs/push/colors/README.md").is_file()


def test_scores_of_another_checkpoint_are_not_published(run, tmp_path, capsys):
    path = tmp_path / "run/test/metrics.json"
    path.write_text(json.dumps({"checkpoint": "other.pth", "metrics": {"mIoU": 99.0}}))
    assert main([*run, "--no-upload"]) == 0
    assert "99" not in (tmp_path / "work_dirs/push/colors/README.md").read_text()
    assert main([*run, "--no-upload", "--metrics", str(path)]) == 1
    assert "not of" in capsys.readouterr().err
    for wrong in (["push", "c", "k", "name", "--licence", "mit"], ["push", "c", "k", "me/name"]):
        with pytest.raises(SystemExit):
            main(wrong)


def test_names_cannot_break_out_of_the_cards_header():
    card = render_card(
        name='a: "b"\n---\nx', licence="it's: mine\n---", classes=("a|b",), architecture="A", files={}, usage="", metrics={"mIoU": 1.0}
    )
    head = yaml.safe_load(card.split("\n---\n")[0].removeprefix("---\n"))
    assert head["license_name"] == "it's: mine\n---"
    assert r"| 0 | a\|b | – |" in card


def test_a_pushed_model_is_fetched_by_its_name(run, hub, tmp_path, monkeypatch):
    assert main(run) == 0
    there = hub[0] / "me/colors"
    info = SimpleNamespace(siblings=[SimpleNamespace(rfilename=path.name) for path in there.iterdir()])
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda self, name, timeout: info)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda name, file: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: str(there / file))
    np.testing.assert_array_equal(Predictor("me/colors")(IMAGE).labels, TRUTH)


def test_a_published_model_becomes_a_checkpoint_of_the_same_predictions(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = write_tiny(tmp_path / "tiny", "segformer", ("van", "tree", "road", *"abcdefghij"))
    assert main(["hub-weights", str(folder), "--out", "tiny.pth"]) == 0
    assert "note: it has no class for sidewalk, building" in capsys.readouterr().out
    options = {"model.model": str(folder), "model.head": "keep", "test_dataloader.dataset.data_root": str(tmp_path)}
    checked = Predictor("segformer_bdd", "tiny.pth", device="cpu", cfg_options=options)
    direct = Predictor(str(folder), device="cpu", cfg_options={"model.classes": "bdd100k_sem19"})
    image = render_colors(1, (SIDE, SIDE))[0]
    np.testing.assert_array_equal(checked(image).labels, direct(image).labels)
    assert checked.classes == direct.classes
