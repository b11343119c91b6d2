"""Configs in the setting of BDD100K's official model zoo: the setting, the data, the rates, and a step of each network."""

import copy

import mmseg.registry
import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmstreet.engine.pretrained import fit_weights
from mmstreet.models.torchvision_weights import PUBLISHED
from tests.helpers.leaf_configs import ZOO, load
from tests.helpers.street_files import make_root
from tests.helpers.tiny_transformers import SIDE, write_tiny

FAMILIES = {"segformer_bdd": "segformer", "upernet_convnext_bdd": "upernet_convnext", "mask2former_bdd": "mask2former", "eomt_bdd": "eomt"}


def build(name, folder):
    """The model of a config, with a tiny network of its family in place of the published one."""
    pytest.importorskip("transformers")
    cfg = load(name)
    init_default_scope("mmseg")
    cfg.model.model = str(write_tiny(folder, FAMILIES[name]))
    if "crop_size" in cfg.model.test_cfg if cfg.model.get("test_cfg") else False:
        cfg.model.test_cfg.update(crop_size=(SIDE, SIDE), stride=(26, 48))
    cfg.model.data_preprocessor.size = (SIDE, SIDE)
    return mmseg.registry.MODELS.build(cfg.model), cfg


def test_they_are_five():
    assert sorted(ZOO) == sorted([*FAMILIES, "deeplabv3plus_bdd"])


@pytest.mark.parametrize("name", ZOO)
def test_the_setting_is_the_zoos(name):
    cfg = load(name)
    assert (cfg.train_cfg.max_iters, cfg.train_dataloader.batch_size) == (80000, 16)
    steps = {step.type: step for step in cfg.train_dataloader.dataset.pipeline}
    resize, crop = steps["RandomResize"], steps["RandomCrop"].crop_size
    assert (resize.scale, resize.ratio_range, resize.keep_ratio) == ((1280, 720), (0.5, 2.0), True)
    assert crop == ((512, 512) if name == "eomt_bdd" else (512, 1024)) == cfg.model.data_preprocessor.size
    assert steps["RandomCrop"].cat_max_ratio == 0.75
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        assert [step.type for step in loader.dataset.pipeline] == ["mmstreet.LoadImage", "mmstreet.LoadLabels", "mmstreet.PackSegInputs"]
    rates = [(part.type, part.get("begin", 0), part.get("end", 80000)) for part in cfg.param_scheduler]
    assert rates in ([("PolyLR", 0, 80000)], [("LinearLR", 0, 1500), ("PolyLR", 1500, 80000)])


def test_windows_of_eomt_cover_the_image():
    test = load("eomt_bdd").model.test_cfg
    for side, crop, stride in zip((720, 1280), test.crop_size, test.stride, strict=True):
        starts = range(0, side - crop + 1, stride)
        assert starts[-1] + crop == side
        assert stride <= crop


def test_crops_come_out_of_files_at_their_size(tmp_path):
    root = make_root(tmp_path, "bdd100k_10k", {"train": ["a", "b"], "val": ["a"]}, hw=(720, 1280), num_classes=19)
    init_default_scope("mmseg")
    np.random.seed(0)  # noqa: NPY002 - the transforms draw from numpy's global generator
    settings = copy.deepcopy(load("segformer_bdd").train_dataloader.dataset)
    settings.data_root = str(root)
    dataset = mmseg.registry.DATASETS.build(settings)
    for _ in range(3):
        sample = dataset[0]
        height, width = sample["inputs"].shape[1:]
        assert sample["data_samples"].gt_sem_seg.data.shape == (1, height, width)
        assert 360 <= height <= 512
        assert 640 <= width <= 1024


@pytest.mark.parametrize("name", FAMILIES)
def test_each_learns_from_one_batch_and_tests_an_image_of_another_shape(name, tmp_path):
    model, cfg = build(name, tmp_path)
    model.init_weights()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    pixels = [torch.randint(0, 256, (3, SIDE - 4, SIDE), dtype=torch.uint8) for _ in range(2)]  # smaller than the crop: it is padded
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 19, (1, SIDE - 4, SIDE)))) for _ in range(2)]
    losses = model.train_step(dict(inputs=pixels, data_samples=samples), optimizer)
    assert all(torch.isfinite(torch.as_tensor(value)).all() for value in losses.values())
    assert ("decode.loss_queries" in losses) == (name in ("mask2former_bdd", "eomt_bdd"))
    image = torch.randint(0, 256, (3, 90, 160), dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(img_shape=(90, 160), ori_shape=(90, 160)))
    (result,) = model.eval().test_step(dict(inputs=[image], data_samples=[sample]))
    assert result.pred_sem_seg.data.shape == (1, 90, 160)


@pytest.mark.parametrize(("name", "slow", "fast", "ratio"), [
    ("segformer_bdd", "segformer", "decode_head", 10),
    ("mask2former_bdd", "pixel_level_module.encoder", "class_predictor", 10),
    ("eomt_bdd", "network.layers", "class_predictor", 10),
])  # fmt: skip
def test_layers_that_are_named_learn_at_their_own_rate(name, slow, fast, ratio, tmp_path):
    model, cfg = build(name, tmp_path)
    cfg.optim_wrapper.constructor = "DefaultOptimWrapperConstructor"  # one group per parameter
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    names = {id(value): key for key, value in model.named_parameters()}
    rates = {names[id(group["params"][0])]: group["lr"] for group in optimizer.param_groups}
    found = [{rate for key, rate in rates.items() if part in key} for part in (slow, fast)]
    assert [len(some) for some in found] == [1, 1]
    assert found[1].pop() == pytest.approx(ratio * found[0].pop())


def test_torchvisions_weights_fill_the_backbone_of_deeplabv3plus():
    cfg = load("deeplabv3plus_bdd")
    assert cfg.load_from == PUBLISHED["resnet50"]
    init_default_scope("mmseg")
    with torch.device("meta"):
        model = mmseg.registry.MODELS.build(copy.deepcopy(cfg.model))
        backbone = {key: value for key, value in model.state_dict().items() if key.startswith("backbone.")}
    kept, fresh, unused = fit_weights(backbone, model)
    assert len(kept) == 318, "torchvision's ResNet-50 has 320 tensors, two of them its classifier's"
    assert (sorted(fresh), unused) == (["auxiliary_head", "decode_head"], [])
