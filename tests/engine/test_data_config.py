"""A config is made to fit a data.yaml: its data sets give the pixels of the file's classes, and training, test and prediction run on it."""

import json

import numpy as np
import pytest
import yaml
from mmengine.registry import DATASETS, MODELS, init_default_scope
from PIL import Image

from mmstreet.cli.commands import main
from mmstreet.datasets.data_file import read_data_file
from mmstreet.deps import installed
from mmstreet.engine.data_config import crop_size, rare_classes
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import build_runner, load_config, read_config
from mmstreet.evaluation.splits import split_config
from mmstreet.labels import get_table
from tests.helpers import published_sets
from tests.helpers.ops import needs_ops

NO_WORKERS = [f"{name}_dataloader.{key}" for name in ("train", "val", "test") for key in ("num_workers=0", "persistent_workers=False")]
COMMON = ("road", "sky", "vehicle", "person")


def describe(folder, name, *, of=None):
    (of or getattr(published_sets, name))(folder / name)
    assert main(["init", str(folder / name), "--out", str(folder / f"{name}.yaml"), "--workers", "1"]) == 0


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four data sets of different ids, colours and names as one, with a common table."""
    folder = tmp_path_factory.mktemp("four")
    for name in ("bdd100k_10k", "cityscapes", "camvid", "idd"):
        describe(folder, name)
    sets = [
        {"data": "bdd100k_10k.yaml", "remap": {"car": "vehicle", "truck": "vehicle"}},
        {"data": "cityscapes.yaml", "remap": {"car": "vehicle", "building": None}},
        {"data": "camvid.yaml", "remap": {"Car": "vehicle", "LaneMkgsDriv": "road"}, "repeat": 2},
        {"data": "idd.yaml", "remap": {"car": "vehicle"}, "splits": ["train"]},
    ]
    (folder / "four.yaml").write_text(yaml.safe_dump({"name": "four", "sets": sets, "classes": list(COMMON)}))
    return folder


def test_each_pixel_of_joined_sets_is_of_a_common_class_or_ignored(four):
    cfg = load_config("street", data=four / "four.yaml", cfg_options={"train_dataloader.dataset.datasets.0.indices": 2})
    init_default_scope("mmseg")
    for part in cfg.train_dataloader.dataset.datasets:
        part.pipeline = [
            step for step in part.pipeline if step.type in ("mmstreet.LoadImage", "mmstreet.LoadLabels", "mmstreet.RemapLabels")
        ]
    joined = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(joined) == 2 + 3 + 2 * 17 + 3
    assert joined.metainfo["classes"] == COMMON
    raw = {
        "bdd100k": {0: 0, 13: 2},
        "cityscapes": {7: 0, 24: 3, 26: 2},
        "camvid": {(128, 64, 128): 0, (128, 128, 128): 1, (64, 0, 128): 2},
        "idd": {0: 0, 9: 2, 25: 1},
    }
    seen = set()
    for i in range(len(joined)):
        sample = joined[i]
        name = next(name for name in raw if name in sample["seg_map_path"])
        stored = np.array(Image.open(sample["seg_map_path"]))
        expected = [[raw[name].get(tuple(x) if stored.ndim == 3 else int(x), 255) for x in row] for row in stored]
        assert sample["gt_seg_map"].tolist() == expected
        seen.add(name)
    assert seen == set(raw)


def test_counts_and_weights_come_from_the_union(four):
    pixels = np.zeros(4)
    lines = {"bdd100k_10k": (3, {"road": 0, "car": 2}), "cityscapes": (3, {"road": 0, "person": 3, "car": 2})}
    lines |= {"camvid": (34, {"Road": 0, "Sky": 1, "Car": 2}), "idd": (3, {"road": 0, "car": 2, "sky": 1})}
    for name, (images, classes) in lines.items():
        counts = yaml.safe_load((four / f"{name}.yaml").read_text())["counts"]["train"]["pixels"]
        for source, target in classes.items():
            pixels[target] += counts[source] * images / {"camvid": 17}.get(name, images)
    shares = 100 * pixels / pixels.sum()
    assert [row.share for row in read_data_file(four / "four.yaml").table.labels] == pytest.approx(shares.tolist())
    loss = MODELS.build(load_config("street", data=four / "four.yaml").model.decode_head.loss_decode)
    expected = (shares / 100) ** -0.5
    assert loss.class_weight.tolist() == pytest.approx((expected / expected.mean()).tolist())
    assert main(["verify", str(four / "four.yaml"), "--workers", "1", "--out", str(four / "out")]) == 0
    report = json.loads((four / "out/dataset.json").read_text())
    train = np.array([split["pixels"] for name, split in report["splits"].items() if name.endswith("/train")]).sum(0)
    camvid = np.array(report["splits"]["camvid/train"]["pixels"])
    assert ((train + camvid) / (train + camvid).sum() * 100).tolist() == pytest.approx(shares.tolist())


def test_a_split_of_joined_sets_is_tested_as_a_whole_and_each_set_once(four):
    cfg = split_config(load_config("street", data=four / "four.yaml"), "train")
    init_default_scope("mmseg")
    assert len(DATASETS.build(cfg.test_dataloader.dataset)) == 3 + 3 + 17 + 3
    for part in cfg.test_dataloader.dataset.datasets:
        assert [step.type for step in part.pipeline if "Labels" in step.type] == ["mmstreet.LoadLabels", "mmstreet.RemapLabels"]
        assert not any("Crop" in step.type for step in part.pipeline)


def test_the_commands_read_one_file(tmp_path, monkeypatch, capsys):
    describe(tmp_path, "plain_ids")
    monkeypatch.chdir(tmp_path)
    small = ["--cfg-options", *NO_WORKERS]
    assert main(["train", "street", "plain_ids.yaml", "--epochs", "1", "--lr", "0.002", "--batch-size", "2", *small]) == 0
    work_dir = "work_dirs/street_plain_ids"
    assert main(["test", "street", "plain_ids.yaml", work_dir, *small]) == 0
    result = json.loads((tmp_path / work_dir / "test/metrics.json").read_text())
    assert result["evaluation"]["classes"] == ["road", "sidewalk", "Traffic_Light"]
    model = ["--config", "street", "--checkpoint", work_dir]  # the checkpoint says how many classes there are
    assert main(["predict", *model, "plain_ids.yaml", "--out", "found", "--split", "train"]) == 0
    found = sorted((tmp_path / "found/labels").rglob("*.png"))
    assert len(found) == 4
    assert max(np.array(Image.open(path)).max() for path in found) < 3


def test_a_config_of_other_classes_is_fitted_too(tmp_path):
    describe(tmp_path, "plain_ids")
    cfg = read_config("deeplabv3_bdd_v3_background", data=tmp_path / "plain_ids.yaml")
    assert (cfg.model.decode_head.num_classes, cfg.model.auxiliary_head.num_classes) == (3, 3)
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert "mmstreet.RemapLabels" not in steps
    assert cfg.val_evaluator.type == "mmstreet.StreetIoUMetric"
    with pytest.raises(LaunchError, match="image-level labels"):
        read_config("carb_cityscapes", data=tmp_path / "plain_ids.yaml")


@needs_ops
def test_on_camvids_frames_it_is_the_config_made_for_them(tmp_path):
    """What is written for CamVid by hand and what is fitted differ in where the data is and in the shares of its classes."""
    describe(tmp_path, "camvid_segnet")
    text = (tmp_path / "camvid_segnet.yaml").read_text().replace("image_hw: [32, 48]", "image_hw: [360, 480]")
    (tmp_path / "camvid_segnet.yaml").write_text(text)
    fitted, written = read_config("street", data=tmp_path / "camvid_segnet.yaml"), read_config("street_camvid")
    assert fitted.model.decode_head.num_classes == written.model.decode_head.num_classes
    for loader in ("val_dataloader", "test_dataloader"):
        assert fitted[loader].dataset.pipeline == written[loader].dataset.pipeline
    crops = [cfg.train_dataloader.dataset.pipeline[2] for cfg in (fitted, written)]
    assert crops[0].size_hw == crops[1].size_hw
    assert [step.type for step in fitted.train_dataloader.dataset.pipeline] == [
        step.type for step in written.train_dataloader.dataset.pipeline
    ]


def test_list_files_are_found_from_any_folder(tmp_path, monkeypatch):
    describe(tmp_path, "wilddash2")
    monkeypatch.chdir(tmp_path)
    cfg = load_config("street", data="wilddash2.yaml")
    init_default_scope("mmseg")
    assert [len(DATASETS.build(cfg[f"{split}_dataloader"].dataset)) for split in ("train", "val")] == [8, 2]


@pytest.mark.skipif(not installed("mmdet"), reason="the config inherits MMDetection's")
def test_a_detector_is_not_fitted_to_label_maps(tmp_path):
    describe(tmp_path, "plain_ids")
    with pytest.raises(LaunchError, match="finds objects"):
        read_config("mask_rcnn_mini", data=tmp_path / "plain_ids.yaml")


def test_without_data_the_config_says_what_it_waits_for(tmp_path):
    with pytest.raises(LaunchError, match="'street' has no data of its own; 'mmstreet init FOLDER'"):
        build_runner(load_config("street", work_dir=tmp_path))


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["train", "street", "nothing.yaml"], "'nothing.yaml' is no data.yaml"),
        (["train", "street", "plain_ids.yaml", "--data", "x"], "both say what the data is"),
        (["test", "street", "plain_ids.yaml"], "required: checkpoint"),
    ],
)
def test_arguments_that_contradict_are_refused(command, sentence, tmp_path, monkeypatch, capsys):
    describe(tmp_path, "plain_ids")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(command)
    assert sentence in capsys.readouterr().err


def test_crops_keep_rare_objects_in_view_and_fit_the_images():
    assert [get_table("camvid11").names[i] for i in rare_classes(get_table("camvid11"))] == [
        "pole",
        "signsymbol",
        "pedestrian",
        "bicyclist",
    ]
    bdd = get_table("bdd100k_sem19")
    thin = ["pole", "traffic light", "traffic sign", "person", "rider", "motorcycle", "bicycle"]
    assert [bdd.names[i] for i in rare_classes(bdd)] == thin
    assert [crop_size(hw) for hw in ((360, 480), (10, 10), (4000, 6000))] == [(256, 352), (32, 32), (512, 1024)]
