import copy
import math

import mmseg.registry
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmstreet.engine.pretrained import fit_weights
from mmstreet.labels import STREET6
from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, rename_tensors
from tests.helpers.leaf_configs import SEMANTIC, SMALL, load
from tests.helpers.torchvision_models import VGG16

FULL = [name for name in SEMANTIC if name.startswith("pixelnet_") and name not in SMALL]


def build_model(cfg, device="meta"):
    init_default_scope("mmseg")
    with torch.device(device):
        return mmseg.registry.MODELS.build(copy.deepcopy(cfg.model))


@pytest.mark.parametrize("name", FULL)
def test_the_published_architecture_and_setting(name):
    cfg = load(name)
    model = build_model(cfg)
    head = model.decode_head
    assert [layer.weight.shape for layer in head.hidden] == [(4096, 5568), (4096, 4096)]
    assert (head.num_pixels, head.dropout.p, cfg.train_dataloader.batch_size) == (2000, 0.5, 5)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum, optimizer.weight_decay) == ("SGD", 1e-3, 0.9, 5e-4)
    assert cfg.train_cfg.max_epochs == 80


@pytest.mark.parametrize("name", FULL)
def test_biases_learn_at_twice_the_rate_and_do_not_decay(name):
    model = build_model(load(name))
    groups = build_optim_wrapper(model, load(name).optim_wrapper).optimizer.param_groups
    by_parameter = {id(parameter): group for group in groups for parameter in group["params"]}
    for key, parameter in model.named_parameters():
        group, norm = by_parameter[id(parameter)], "level_norm" in key
        assert group["lr"] == pytest.approx(2e-3 if key.endswith("bias") and not norm else 1e-3), key
        assert group["weight_decay"] == (0 if key.endswith("bias") or norm else 5e-4), key


@pytest.mark.parametrize("name", FULL)
def test_imagenet_weights_fill_the_whole_backbone(name):
    cfg = load(name)
    assert cfg.load_from == PUBLISHED["vgg16"]
    with torch.device("meta"):
        theirs = VGG16().state_dict()
    _, fresh, unused = fit_weights(rename_tensors(theirs, find_layout(theirs)), build_model(cfg))
    assert (fresh, unused) == (["decode_head"], [])


def step(model, labels):
    """Loss of one step on random images, all weights zero: every pixel gets the same logits."""
    model = model.to_empty(device="cpu").train()
    for value in [*model.parameters(), *model.decode_head.buffers(), *model.backbone.buffers()]:
        value.data.zero_()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    losses = model.loss(torch.randn(len(labels), 3, *labels.shape[2:]), samples)
    losses["decode.loss_ce"].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    return losses["decode.loss_ce"].item()


def test_a_step_at_full_width():
    cfg = load("pixelnet_cityscapes")  # without conv7, whose 120 million weights would only cost time
    cfg.model.backbone.levels, cfg.model.decode_head.in_channels, cfg.model.decode_head.in_index = (
        part[:5] for part in (cfg.model.backbone.levels, cfg.model.decode_head.in_channels, cfg.model.decode_head.in_index)
    )
    model = build_model(cfg)
    labels = torch.randint(19, (2, 1, 40, 56))
    labels[1] = 255
    assert step(model, labels) == pytest.approx(math.log(19), abs=1e-5)
    drawn = labels[0].flatten().bincount(minlength=19) / labels[0].numel()
    torch.testing.assert_close(model.decode_head.conv_seg.bias.grad, 1 / 19 - drawn, rtol=0, atol=0.03)


@pytest.mark.parametrize("name", FULL)
def test_a_step_of_each_config_with_an_eighth_of_the_channels(name):
    cfg = load(name)
    head = cfg.model.decode_head
    cfg.model.backbone.base_channels = 8
    head.in_channels, head.widths, head.num_pixels = [channels // 8 for channels in head.in_channels], [16, 16], 200
    labels = torch.zeros(2, 1, 40, 56, dtype=torch.int64)
    labels[:, :, :2, :50] = 1  # 100 of 2240 pixels
    model = build_model(cfg)
    assert step(model, labels) == pytest.approx(math.log(head.num_classes), abs=1e-5)
    share = 1 / head.num_classes - model.decode_head.conv_seg.bias.grad[1].item()  # of class 1 among the drawn pixels
    assert share == pytest.approx(0.5, abs=1e-5) if name.endswith("6cls") else 0 < share < 0.15


def test_cityscapes_keeps_its_two_to_one_format_and_bdd_stands_beside_deeplabv3():
    assert load("pixelnet_cityscapes")._resize.scale == (1024, 512)
    assert load("pixelnet_bdd")._resize == load("deeplabv3_bdd_v1")._resize


@pytest.mark.parametrize("name", ["pixelnet_bdd_6cls", "pixelnet_mini_6cls"])
def test_six_classes_are_balanced_in_the_sample_and_scored_as_those_of_v3(name):
    cfg, v3 = load(name), load("deeplabv3_bdd_v3")
    head = cfg.model.decode_head
    assert (head.num_classes, head.sampling, "loss_decode" in head) == (len(STREET6), "class_balanced", False)
    assert cfg.test_evaluator == v3.test_evaluator
    for loader in ("val_dataloader", "test_dataloader"):
        remap = [step for step in cfg[loader].dataset.pipeline if step.type == "mmstreet.RemapLabels"]
        assert remap == [step for step in v3[loader].dataset.pipeline if step.type == "mmstreet.RemapLabels"]
        assert cfg[loader].dataset.table == v3[loader].dataset.table


def test_the_head_fits_a_six_class_model_of_this_package_with_its_loss():
    torch.manual_seed(0)
    cfg = load("deeplabv3_mini_v3")
    deeplab = cfg.model.decode_head
    cfg.model.decode_head = dict(
        type="mmstreet.PixelNetHead",
        in_channels=(48, 96, 192),
        in_index=(0, 1, 2),
        num_classes=deeplab.num_classes,
        widths=(32,),
        num_pixels=100,
        loss_decode=deeplab.loss_decode,
    )
    model = build_model(cfg, "cpu").train()
    labels = torch.randint(6, (2, 1, 45, 61))
    labels[0, :, 10:] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label), metainfo={"img_shape": (45, 61), "ori_shape": (45, 61)}) for label in labels]
    losses = model.loss(torch.randn(2, 3, 45, 61), samples)
    total = sum(value for key, value in losses.items() if "loss" in key)
    total.backward()
    assert total.isfinite()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with torch.no_grad():
        predicted = model.eval().predict(torch.randn(2, 3, 45, 61), samples)
    assert [sample.pred_sem_seg.data.shape for sample in predicted] == [(1, 45, 61)] * 2
