import copy
import functools
import re
import subprocess
import sys
from pathlib import Path

import mmengine.registry
import mmseg.registry
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry, init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmstreet.engine.pretrained import fit_weights
from mmstreet.labels import STREET6, get_table
from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, rename_tensors
from mmstreet.registry import MASK_SOURCES, REFINERS
from tests.helpers.config_binding import bases_of, config_errors, restated
from tests.helpers.street_files import make_root
from tests.helpers.torchvision_models import Segmentation

CONFIGS = Path(__file__).parents[2] / "configs"
STUDY = [
    "deeplabv3_bdd_v1",
    "deeplabv3_bdd_v2",
    "deeplabv3_bdd_v2_6cls",
    "deeplabv3_bdd_v3",
    "deeplabv3_bdd_v3_background",
    "fcn_cityscapes",
    "fcn_cityscapes_sam2",
]
SMALL = [
    *("deeplabv3_mini_v1", "deeplabv3_mini_v2", "deeplabv3_mini_v2_6cls", "deeplabv3_mini_v3"),
    *("deeplabv3_camvid_v1", "deeplabv3_camvid_v2", "deeplabv3_camvid_v3"),
    *("pixelnet_mini", "pixelnet_mini_6cls", "pixelnet_camvid"),
]
PIXELNET = ["pixelnet_cityscapes", "pixelnet_bdd", "pixelnet_bdd_6cls"]
SEMANTIC = [*STUDY, *PIXELNET, *SMALL]
HELPERS = {
    *(
        "resize",
        "train_pipeline",
        "val_pipeline",
        "test_pipeline",
        "load_image",
        "load_labels",
        "flip",
        "pack",
        "files",
        "size_wh",
        "sized",
    ),
    *("loss", "num_classes", "six", "only_six", "remap", "whole_scene"),
    *(
        "narrow_model",
        "narrow_optimizer",
        "refiner",
        "small_model",
        "small_auxiliary",
        "small_optimizer",
        "small_size_wh",
        "small_epochs",
        "small_loader",
        "small_classes",
    ),
}
REGISTRIES = (
    *(registry for registry in vars(mmseg.registry).values() if isinstance(registry, Registry)),
    *(registry for registry in vars(mmengine.registry).values() if isinstance(registry, Registry)),
    *(REFINERS, MASK_SOURCES),
)


@functools.cache
def read(path):
    return Config.fromfile(path)


def load(name):
    return copy.deepcopy(read(CONFIGS / f"{name}.py"))


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
    first, second = (flatten({key: value for key, value in load(x).to_dict().items() if key not in HELPERS}) for x in (name, other))
    missing = object()
    return {place for place in {*first, *second} if first.get(place, missing) != second.get(place, missing)}


def test_there_are_twenty_semantic_configs():
    assert sorted(SEMANTIC) == sorted(
        path.stem for path in CONFIGS.glob("*.py") if path.stem.startswith(("deeplabv3_", "fcn_", "pixelnet_"))
    )
    assert len(SEMANTIC) == 20


def test_every_type_and_every_setting_exists():
    init_default_scope("mmseg")
    errors = {name: config_errors(load(name).to_dict(), REGISTRIES, helpers=HELPERS) for name in SEMANTIC}
    assert not any(errors.values()), "\n".join(f"{name}: {error}" for name, found in errors.items() for error in found)


def test_the_check_itself_reports_all_mistakes_at_once():
    cfg = load("deeplabv3_bdd_v3")
    cfg.model.decode_head.atrous_rate = (1, 2)
    cfg.model.backbone.typ = cfg.model.backbone.type
    cfg.train_dataloader.dataset.pipeline[0].type = "LoadImages"
    cfg.train_dataloader.batchsize = 4
    cfg.optim_wraper = dict()
    cfg.custom_hooks[1].num_files = 3
    errors = config_errors(cfg.to_dict(), REGISTRIES, helpers=HELPERS)
    said = ["optim_wraper", "batchsize", "LoadImages", "atrous_rate", "'typ'", "num_files"]
    assert len(errors) == len(said), errors
    assert all(any(word in error for error in errors) for word in said)


@pytest.mark.parametrize("name", SEMANTIC)
def test_a_config_opens_with_the_question_that_it_answers(name):
    first = (CONFIGS / f"{name}.py").read_text().split("\n\n")[0]
    assert re.match(r'"""[A-Z][^.]*\?', first), first


@pytest.mark.parametrize("name", SEMANTIC)
def test_a_config_repeats_nothing_that_it_inherits(name):
    path = CONFIGS / f"{name}.py"
    inherited = {key: value for base in bases_of(path) for key, value in read(base).to_dict().items()}
    assert not restated(path, inherited)


def test_versions_build_on_each_other():
    parents = {name: [path.stem for path in bases_of(CONFIGS / f"{name}.py") if path.parent == CONFIGS] for name in SEMANTIC}
    bdd = "deeplabv3_bdd_"
    assert parents.pop("fcn_cityscapes_sam2") == ["fcn_cityscapes"]
    assert parents.pop("fcn_cityscapes") == parents.pop(f"{bdd}v1") == []
    assert parents.pop("pixelnet_cityscapes") == parents.pop("pixelnet_bdd") == []
    assert parents.pop("pixelnet_bdd_6cls") == ["pixelnet_bdd"]
    assert parents.pop(f"{bdd}v2") == [f"{bdd}v1"]
    assert parents.pop(f"{bdd}v2_6cls") == parents.pop(f"{bdd}v3") == [f"{bdd}v2"]
    assert parents.pop(f"{bdd}v3_background") == [f"{bdd}v3"]
    assert parents == {name: [re.sub("mini|camvid", "bdd", name)] for name in SMALL}


def test_v2_changes_losses_and_optimiser_of_v1_and_nothing_else():
    changed = {re.sub(r"(loss_decode|auxiliary_head)\..*", r"\1", place) for place in difference("deeplabv3_bdd_v1", "deeplabv3_bdd_v2")}
    assert changed == {
        *("model.decode_head.loss_decode", "model.auxiliary_head"),
        *("optim_wrapper.optimizer.lr", "optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult", "optim_wrapper.clip_grad.max_norm"),
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


@pytest.mark.parametrize("name", SMALL)
def test_a_small_variant_changes_data_size_backbone_and_what_follows_from_training_from_scratch(name):
    changed = difference(re.sub("mini|camvid", "bdd", name), name)
    allowed = (
        r"model\.backbone\..*|model\.(decode|auxiliary)_head\.(in_channels|in_index|channels|atrous_rates)"
        r"|(train|val|test)_dataloader\.(num_workers|dataset\.(data_root|pipeline))"
        r"|load_from|train_cfg\.max_epochs|optim_wrapper\.(optimizer\.lr|paramwise_cfg.*)"
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


def test_the_numbers_of_the_study_are_where_it_puts_them():
    v1, v2, v3 = (flatten(load(f"deeplabv3_bdd_v{i}").to_dict()) for i in (1, 2, 3))
    head, aux = "model.decode_head.loss_decode.", "model.auxiliary_head.loss_decode."
    assert (v1["train_dataloader.batch_size"], v1["resize.scale"], v1["model.decode_head.num_classes"]) == (8, (512, 256), 19)
    for place in (head, aux):
        assert (v2[f"{place}gamma"], v2[f"{place}dice_weight"]) == (2.0, 0.3)
        assert (v3[f"{place}gamma"], v3[f"{place}dice_weight"], v3[f"{place}class_weight.clip"]) == (3.0, 0.3, (0.1, 10.0))
        assert [v3[f"{place}class_weight.boosts.{name}"] for name in ("bicycle", "motorcycle", "pole")] == [3.0, 3.0, 2.0]
    assert v2[f"{aux}loss_weight"] == 0.4
    rate = v2["optim_wrapper.optimizer.lr"]
    assert (rate, rate * v2["optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult"]) == pytest.approx((1e-3, 1e-4))
    assert (v2["optim_wrapper.optimizer.weight_decay"], v2["optim_wrapper.clip_grad.max_norm"]) == (1e-4, 1.0)
    assert (v2["train_cfg.max_epochs"], v3["train_cfg.max_epochs"]) == (10, 10)
    assert (v3["train_dataloader.batch_size"], v3["resize.scale"], v3["model.decode_head.num_classes"]) == (4, (1024, 512), 6)
    steps = {step.type: step for step in load("deeplabv3_bdd_v3").train_dataloader.dataset.pipeline}
    scale_crop = steps["mmstreet.RandomScaleCrop"]
    assert (scale_crop.size_hw, scale_crop.scale, scale_crop.fraction) == ((512, 1024), (0.5, 2.0), (0.6, 1.0))
    assert steps["RandomCutOut"].prob == 0.3


def test_every_test_and_validation_image_has_the_size_of_training():
    for name in SEMANTIC:
        cfg = load(name)
        sizes = set()
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            for step in loader.dataset.pipeline:
                sizes |= {tuple(step.scale)} if step.type == "Resize" else set()
                sizes |= {tuple(step.size_hw[::-1])} if step.type == "mmstreet.RandomScaleCrop" else set()
        assert len(sizes) == 1, name


@pytest.mark.parametrize("name", STUDY)
def test_coco_weights_fill_everything_but_the_classifiers(name):
    cfg = load(name)
    assert cfg.load_from in PUBLISHED.values()
    with torch.device("meta"):
        theirs = Segmentation("fcn" if name.startswith("fcn") else "deeplabv3").state_dict()
    kept, fresh, unused = fit_weights(rename_tensors(theirs, find_layout(theirs)), build_model(cfg, "meta"))
    heads = ["decode_head", "auxiliary_head"] if "auxiliary_head" in cfg.model else ["decode_head"]
    assert fresh == [f"{head}.conv_seg (21 outputs there, {cfg.num_classes if 'num_classes' in cfg else 19} here)" for head in heads]
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
    return {
        kind: noisy(make_root(tmp_path_factory.mktemp(layout), layout, names, hw=(36, 64), num_classes=classes))
        for kind, (layout, classes) in layouts.items()
    }


@pytest.mark.parametrize("name", SEMANTIC)
def test_every_pipeline_turns_files_into_samples(name, roots):
    cfg = load(name)
    init_default_scope("mmseg")
    np.random.seed(0)  # noqa: NPY002 - the transforms draw from numpy's global generator
    classes = cfg.model.decode_head.num_classes
    for split in ("train", "val", "test"):
        settings = copy.deepcopy(cfg[f"{split}_dataloader"].dataset)
        settings.data_root = str(roots[settings.type])
        dataset = mmseg.registry.DATASETS.build(settings)
        size = next(step for step in cfg.test_dataloader.dataset.pipeline if step.type == "Resize").scale
        assert len(dataset.metainfo["classes"]) == classes + (split == "test" and classes == 6)
        for sample in (dataset[i] for i in range(len(dataset))):
            labels = sample["data_samples"].gt_sem_seg.data
            assert sample["inputs"].shape == (3, size[1], size[0])
            assert labels.shape == ((1, size[1], size[0]) if split == "train" else (1, 36, 64))
            assert set(labels.unique().tolist()) <= {*range(len(dataset.metainfo["classes"])), 255}


def test_mmsegs_own_training_script_trains_a_config_unchanged(roots, tmp_path):
    script = Path(mmseg.__file__).parent / ".mim" / "tools" / "train.py"
    root = roots["mmstreet.BDD100KSemSeg"]
    options = [f"{split}_dataloader.dataset.data_root={root}" for split in ("train", "val")]
    options += [f"{split}_dataloader.{key}" for split in ("train", "val") for key in ("num_workers=0", "persistent_workers=False")]
    options += ["train_cfg.max_epochs=1", "train_dataloader.batch_size=2"]
    command = [sys.executable, str(script), str(CONFIGS / "deeplabv3_mini_v2.py"), "--work-dir", str(tmp_path), "--cfg-options", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "epoch_1.pth").is_file()
    assert list(tmp_path.glob("best_mIoU_epoch_1.pth"))
