import copy
import os
import re
from pathlib import Path

import mmseg.registry
import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmstreet.datasets.splits import write_split
from mmstreet.engine.pretrained import fit_weights
from mmstreet.labels import STREET6, get_table
from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, rename_tensors
from tests.helpers.leaf_configs import CONFIGS, SEMANTIC, SMALL, load
from tests.helpers.street_files import make_root
from tests.helpers.torchvision_models import Segmentation

SIZING = ("Resize", "mmstreet.RandomScaleCrop")
WITH_DATA = [name for name in SEMANTIC if name != "street"]  # which gets its data sets from a data.yaml
STUDY = [name for name in SEMANTIC if name.startswith(("deeplabv3_bdd", "fcn_"))]


def build_model(cfg, device="cpu"):
    init_default_scope("mmseg")
    with torch.device(device):
        return mmseg.registry.MODELS.build(copy.deepcopy(cfg.model))


def flatten(node, path=""):
    """Every value of a config by its dotted place; a list is one value."""
    if isinstance(node, dict) and node:
        return {place: value for key, part in node.items() for place, value in flatten(part, f"{path}.{key}" if path else key).items()}
    return {path: node}


def difference(name, other):
    """Places that differ between two configs, helpers left out."""
    helper = re.compile(r"_|\w+_pipeline$")
    first, second = (flatten({key: value for key, value in load(x).to_dict().items() if not helper.match(key)}) for x in (name, other))
    missing = object()
    return {place for place in {*first, *second} if first.get(place, missing) != second.get(place, missing)}


def test_v2_changes_losses_and_optimiser_of_v1_and_nothing_else():
    changed = {re.sub(r"(loss_decode|auxiliary_head)\..*", r"\1", place) for place in difference("deeplabv3_bdd_v1", "deeplabv3_bdd_v2")}
    assert changed == {
        *("model.decode_head.loss_decode", "model.auxiliary_head"),
        *("optim_wrapper.optimizer.lr", "optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult", "optim_wrapper.clip_grad.max_norm"),
        "optim_wrapper.constructor",
    }


def test_v2_6cls_trains_as_v2_but_for_the_weights():
    changed = difference("deeplabv3_bdd_v2", "deeplabv3_bdd_v2_6cls")
    heads = {f"model.{head}.loss_decode.class_weight.only" for head in ("decode_head", "auxiliary_head")}
    scoring = {f"{split}_{part}" for split in ("val", "test") for part in ("dataloader.dataset.pipeline", "evaluator.convention")}
    assert changed == heads | scoring
    weight = build_model(load("deeplabv3_bdd_v2_6cls"), "cpu").decode_head.loss_decode.class_weight
    names = get_table("bdd100k_sem19").names
    assert {names[i] for i in weight.nonzero().flatten()} == set(STREET6.names)


def test_v3_changes_classes_losses_data_and_scoring_of_v2_and_no_layer_and_no_optimiser():
    changed = {re.sub(r"(loss_decode|dataset)\..*", r"\1", place) for place in difference("deeplabv3_bdd_v2", "deeplabv3_bdd_v3")}
    assert changed == {
        *("model.decode_head.num_classes", "model.decode_head.loss_decode"),
        *("model.auxiliary_head.num_classes", "model.auxiliary_head.loss_decode"),
        *("train_dataloader.batch_size", "train_dataloader.dataset", "val_dataloader.dataset", "test_dataloader.dataset"),
        *("test_evaluator", "test_evaluator.type"),
    }


def test_v4_adds_the_boundary_term_to_v3_and_nothing_else():
    assert difference("deeplabv3_bdd_v3", "deeplabv3_bdd_v4") == {"model.decode_head.boundary_weight"}
    assert load("deeplabv3_bdd_v4").model.decode_head.boundary_weight == 0.2


@pytest.mark.parametrize("name", [name for name in SMALL if not name.startswith("street")])
def test_a_small_variant_changes_data_size_backbone_and_what_follows_from_training_from_scratch(name):
    changed = difference(re.sub("mini|camvid", "bdd", name), name)
    allowed = (
        r"model\.backbone\..*|model\.(decode|auxiliary)_head\.(in_channels|in_index|channels|atrous_rates)"
        r"|(train|val|test)_dataloader\.(num_workers|dataset\.(data_root|pipeline))"
        r"|load_from|train_cfg\.max_epochs|optim_wrapper\.(optimizer\.lr|paramwise_cfg.*|constructor)"
    )
    if "camvid" in name:
        allowed += (
            r"|model\.\w+_head\.num_classes|model\.\w+_head\.loss_decode\.class_weight\.(table|boosts\.\w+)"
            r"|\w+_dataloader\.dataset\.(type|table)|test_evaluator"
        )
    if "pixelnet" in name:
        allowed += r"|model\.decode_head\.(widths|dropout_ratio)|optim_wrapper\.optimizer\..*"
    assert [place for place in changed if not re.fullmatch(allowed, place)] == []
    assert {"model.backbone.base_channels" if "pixelnet" in name else "model.backbone.depth", "load_from"} <= changed


@pytest.mark.parametrize("name", ["street_camvid", "street_bdd_6cls"])
def test_the_street_recipe_is_the_same_on_every_data_set(name):
    allowed = (
        r"(train|val|test)_dataloader\.(num_workers|dataset\..*)|model\.decode_head\.num_classes"
        r"|model\.decode_head\.loss_decode\.class_weight\.table|test_evaluator.*"
    )
    assert [place for place in difference("street_bdd", name) if not re.fullmatch(allowed, place)] == []


def test_crops_of_the_street_recipe_keep_the_thin_classes_in_view():
    for name, thin in {
        "street_camvid": {"pole", "signsymbol", "pedestrian", "bicyclist"},
        "street_bdd": {"pole", "traffic light", "traffic sign", "person", "rider", "motorcycle", "bicycle"},
        "street_bdd_6cls": {"bicycle", "motorcycle", "pole", "person"},
    }.items():
        cfg = load(name)
        names = get_table(cfg.model.decode_head.loss_decode.class_weight.table).names
        crop = next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == "mmstreet.RandomScaleCrop")
        assert {names[train_id] for train_id in crop.prefer} == thin


def test_the_numbers_of_the_study_are_where_it_puts_them():
    v1, v2, v3 = (flatten(load(f"deeplabv3_bdd_v{i}").to_dict()) for i in (1, 2, 3))
    head, aux = "model.decode_head.loss_decode.", "model.auxiliary_head.loss_decode."
    assert (v1["train_dataloader.batch_size"], v1["_resize.scale"], v1["model.decode_head.num_classes"]) == (8, (512, 256), 19)
    for place in (head, aux):
        assert (v2[f"{place}gamma"], v2[f"{place}dice_weight"]) == (2.0, 0.3)
        assert (v3[f"{place}gamma"], v3[f"{place}dice_weight"], v3[f"{place}class_weight.clip"]) == (3.0, 0.3, (0.1, 10.0))
        assert [v3[f"{place}class_weight.boosts.{name}"] for name in ("bicycle", "motorcycle", "pole")] == [3.0, 3.0, 2.0]
    assert v2[f"{aux}loss_weight"] == 0.4
    rate = v2["optim_wrapper.optimizer.lr"]
    assert (rate, rate * v2["optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult"]) == pytest.approx((1e-3, 1e-4))
    assert (v2["optim_wrapper.optimizer.weight_decay"], v2["optim_wrapper.clip_grad.max_norm"]) == (1e-4, 1.0)
    assert (v2["train_cfg.max_epochs"], v3["train_cfg.max_epochs"]) == (10, 10)
    assert (v3["train_dataloader.batch_size"], v3["model.decode_head.num_classes"]) == (4, 6)
    steps = {step.type: step for step in load("deeplabv3_bdd_v3").train_dataloader.dataset.pipeline}
    scale_crop = steps["mmstreet.RandomScaleCrop"]
    assert (scale_crop.size_hw, scale_crop.scale, scale_crop.fraction) == ((512, 1024), (0.5, 2.0), (0.6, 1.0))
    assert steps["RandomCutOut"].prob == 0.3


def test_a_circle_has_the_same_shape_in_training_and_validation():
    size_wh = {"bdd100k": (1280, 720), "mini": (640, 360), "cityscapes": (2048, 1024), "camvid11": (480, 360)}
    for name in WITH_DATA:
        cfg = load(name)
        width, height = size_wh[cfg.train_dataloader.dataset.data_root.removeprefix("data/")]
        shapes = set()
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            for step in loader.dataset.pipeline:
                if step.type == "Resize":
                    shapes.add(1.0 if step.keep_ratio else (step.scale[0] / width) / (step.scale[1] / height))
                elif step.type == "mmstreet.RandomScaleCrop":
                    shapes.add(1.0)  # cuts and resizes with one factor
        assert len(shapes) == 1, (name, shapes)


def test_whole_images_are_as_large_as_in_training_where_they_are_cropped():
    for name in ("deeplabv3_bdd_v3", "deeplabv3_bdd_v3_background", "deeplabv3_mini_v3"):
        cfg = load(name)
        crop = next(step for step in cfg.train_dataloader.dataset.pipeline if step.type == "mmstreet.RandomScaleCrop")
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            resize = next(step for step in loader.dataset.pipeline if step.type == "Resize")
            assert resize.keep_ratio
            assert resize.scale == (crop.size_hw[1], crop.size_hw[1] * 9 // 16), name  # the cameras' format is 16:9


@pytest.mark.parametrize("name", STUDY)
def test_coco_weights_fill_everything_but_the_classifiers(name):
    cfg = load(name)
    assert cfg.load_from in PUBLISHED.values()
    with torch.device("meta"):
        theirs = Segmentation("fcn" if name.startswith("fcn") else "deeplabv3").state_dict()
    kept, fresh, unused = fit_weights(rename_tensors(theirs, find_layout(theirs)), build_model(cfg, "meta"))
    heads = ["decode_head", "auxiliary_head"] if "auxiliary_head" in cfg.model else ["decode_head"]
    boundary = ["decode_head.conv_boundary"] if cfg.model.decode_head.get("boundary_weight") else []
    assert set(fresh) == {*(f"{head}.conv_seg (21 outputs there, {cfg.model.decode_head.num_classes} here)" for head in heads), *boundary}
    assert unused == ([] if len(heads) == 2 else ["auxiliary_head"])
    assert kept


def test_only_the_classifier_of_fcn_cityscapes_learns():
    model = build_model(load("fcn_cityscapes"), "meta").train()
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == {
        "decode_head.conv_seg.weight",
        "decode_head.conv_seg.bias",
    }
    assert not any(module.training for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d))


@pytest.mark.parametrize("name", SMALL)
def test_a_small_model_learns_from_one_batch(name):
    torch.manual_seed(0)
    cfg = load(name)
    model = build_model(cfg).train()
    classes = model.decode_head.num_classes
    labels = torch.randint(classes, (2, 1, 48, 64))
    labels[:, :, :8] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    losses = model(torch.randn(2, 3, 48, 64), samples, mode="loss")
    sum(value for key, value in losses.items() if "loss" in key).backward()
    assert all(torch.isfinite(value).all() for value in losses.values())
    assert all(parameter.grad is not None for parameter in model.parameters())


def noisy(root):
    """Give every image of a data root texture, so that augmentation has something to work on."""
    rng = np.random.default_rng(0)
    for path in (*root.rglob("*.jpg"), *root.rglob("*_leftImg8bit.png")):
        Image.fromarray(rng.integers(0, 255, (36, 64, 3), dtype=np.uint8)).save(path)
    return root


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Four tiny images in each layout."""
    names = {"train": ["a", "b", "c", "d"], "val": ["a", "b"]}
    layouts = {
        "mmstreet.BDD100KSemSeg": ("bdd100k_10k", 19),
        "mmstreet.CamVidSemSeg": ("camvid11", 11),
        "mmstreet.CityscapesSemSeg": ("cityscapes", 34),
    }
    found = {
        kind: noisy(make_root(tmp_path_factory.mktemp(layout), layout, names, hw=(36, 64), num_classes=classes))
        for kind, (layout, classes) in layouts.items()
    }
    write_split(found["mmstreet.BDD100KSemSeg"])
    return found


def made_size(step):
    """Width and height that a step makes of 64×36 pixels."""
    if step.type != "Resize":
        return step.size_hw[::-1]
    factor = min(step.scale[0] / 64, step.scale[1] / 36)
    return (round(64 * factor), round(36 * factor)) if step.keep_ratio else step.scale


@pytest.mark.parametrize("name", WITH_DATA)
def test_every_pipeline_turns_files_into_samples(name, roots):
    cfg = load(name)
    init_default_scope("mmseg")
    np.random.seed(0)  # noqa: NPY002 - the transforms draw from numpy's global generator
    classes = cfg.model.decode_head.num_classes
    for split in ("train", "val", "test"):
        settings = copy.deepcopy(cfg[f"{split}_dataloader"].dataset)
        settings.data_root = str(roots[settings.type])
        dataset = mmseg.registry.DATASETS.build(settings)
        size = next((made_size(step) for step in settings.pipeline if step.type in SIZING), (64, 36))
        assert len(dataset.metainfo["classes"]) == classes + (split == "test" and classes == 6)
        for sample in (dataset[i] for i in range(len(dataset))):
            labels = sample["data_samples"].gt_sem_seg.data
            assert sample["inputs"].shape == (3, size[1], size[0])
            assert labels.shape == ((1, size[1], size[0]) if split == "train" else (1, 36, 64))
            assert set(labels.unique().tolist()) <= {*range(len(dataset.metainfo["classes"])), 255}


def test_mmsegs_own_training_script_trains_a_config_unchanged(roots, tmp_path, warm_python):
    script = Path(mmseg.__file__).parent / ".mim" / "tools" / "train.py"
    root = roots["mmstreet.BDD100KSemSeg"]
    options = [f"{split}_dataloader.dataset.data_root={root}" for split in ("train", "val")]
    options += [f"{split}_dataloader.{key}" for split in ("train", "val") for key in ("num_workers=0", "persistent_workers=False")]
    options += ["train_cfg.max_epochs=1", "train_dataloader.batch_size=2"]
    words = [script, CONFIGS / "deeplabv3_mini_v2.py", "--work-dir", tmp_path, "--cfg-options", *options]
    done = warm_python.run(*words, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(CONFIGS.parent)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "epoch_1.pth").is_file()
    assert list(tmp_path.glob("best_mIoU_epoch_1.pth"))
