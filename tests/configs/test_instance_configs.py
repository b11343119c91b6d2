"""The Mask R-CNN configs: every setting exists, the stages differ in what they should, and one training step of each small one runs."""

import copy

import cv2
import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

import mmdet.registry

from mmstreet.engine.pretrained import fit_weights
from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, rename_tensors
from tests.helpers.instance_labels import SIZE_HW, frame, rectangle, write_json
from tests.helpers.leaf_configs import load
from tests.helpers.torchvision_models import ResNet

FULL = ("mask_rcnn_bdd_heads", "mask_rcnn_bdd", "mask_rcnn_bdd_balanced", "mask_rcnn_r101_bdd")
SMALL = ("mask_rcnn_mini_heads", "mask_rcnn_mini")


def build_model(name, device="meta"):
    init_default_scope("mmdet")
    with torch.device(device):
        return mmdet.registry.MODELS.build(copy.deepcopy(load(name).model))


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


def test_stage_one_trains_heads_and_stage_two_everything():
    heads, everything = (build_model(name) for name in FULL[:2])
    assert {name.partition(".")[0] for name in trained(heads)} == {"neck", "rpn_head", "roi_head"}
    assert trained(everything) == {name for name, _ in everything.named_parameters()}


@pytest.mark.parametrize(("first", "second"), [FULL[:2], SMALL])
def test_stage_two_starts_from_the_last_checkpoint_of_stage_one_at_a_tenth_of_the_rate(first, second):
    one, two = load(first), load(second)
    assert two.load_from == f"work_dirs/{first}/epoch_{one.train_cfg.max_epochs}.pth"
    assert two.optim_wrapper.optimizer.lr == pytest.approx(one.optim_wrapper.optimizer.lr / 10)
    assert one.train_dataloader == two.train_dataloader


@pytest.mark.parametrize("name", FULL)
def test_images_are_letterboxed_to_1024_last_and_the_metric_gets_what_it_needs(name):
    cfg = load(name)
    dataset = cfg.train_dataloader.dataset
    steps = dataset.get("dataset", dataset).pipeline
    assert [step.type for step in steps[-2:]] == ["mmstreet.Letterbox", "PackDetInputs"]
    assert steps[-2].size_hw == (1024, 1024)
    assert {"img_id", "ori_shape", "scale_factor", "instances", "weather", "scene", "timeofday"} <= set(
        cfg.test_dataloader.dataset.pipeline[-1].meta_keys
    )


@pytest.mark.parametrize("name", [*FULL, *SMALL])
def test_cudnn_does_not_time_its_algorithms_for_each_new_number_of_regions(name):
    assert load(name).env_cfg.cudnn_benchmark is False
    assert load("deeplabv3_bdd_v3").env_cfg.cudnn_benchmark is True


def test_the_balanced_config_resamples_and_augments_stage_two():
    plain, balanced = load("mask_rcnn_bdd"), load("mask_rcnn_bdd_balanced")
    assert balanced.train_dataloader.dataset.type == "ClassBalancedDataset"
    added = {step.type for step in balanced.train_dataloader.dataset.dataset.pipeline} - {
        step.type for step in plain.train_dataloader.dataset.pipeline
    }
    assert added == {"Rotate", "RandomCrop", "PhotoMetricDistortion"}
    assert balanced.load_from == plain.load_from
    assert balanced.val_dataloader == plain.val_dataloader


def test_resnet101_starts_from_imagenet_weights_that_fill_its_backbone():
    cfg = load("mask_rcnn_r101_bdd")
    assert cfg.load_from == PUBLISHED["resnet101"]
    assert cfg.model.backbone.norm_cfg.eps == 1e-5
    with torch.device("meta"):
        theirs = ResNet(101).state_dict()
    _, fresh, unused = fit_weights(rename_tensors(theirs, find_layout(theirs)), build_model("mask_rcnn_r101_bdd"))
    assert fresh == ["neck", "rpn_head", "roi_head"]
    assert unused == []


def test_the_balanced_pipeline_keeps_boxes_around_masks(tmp_path):
    data = write_frames(tmp_path)
    dataset = load("mask_rcnn_bdd_balanced").train_dataloader.dataset.dataset
    dataset.update(data, ann_file="labels.json")
    init_default_scope("mmdet")
    dataset = mmdet.registry.DATASETS.build(dataset)
    np.random.seed(0)  # noqa: NPY002 - what mmengine seeds
    for _ in range(8):
        truth = dataset[0]["data_samples"].gt_instances
        for box, mask in zip(truth.bboxes.tensor.int().tolist(), truth.masks.masks):
            rows, columns = np.nonzero(mask)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_a_small_stage_two_takes_a_training_step_and_predicts(tmp_path):
    cfg = load("mask_rcnn_mini")
    init_default_scope("mmdet")
    parts = {}
    for split in ("train", "test"):
        dataset = cfg[f"{split}_dataloader"].dataset
        dataset.update(write_frames(tmp_path), ann_file="labels.json")
        parts[split] = mmdet.registry.DATASETS.build(dataset)[0]
    torch.manual_seed(0)
    model = build_model("mask_rcnn_mini", "cpu")
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    losses = model.train().train_step({key: [value] for key, value in parts["train"].items()}, wrapper)
    assert {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox", "loss_mask"} <= losses.keys()
    assert all(torch.isfinite(value).all() for value in losses.values())
    (predicted,) = model.eval().test_step({key: [value] for key, value in parts["test"].items()})
    assert predicted.weather == "rainy"
    assert len(predicted.instances) == 2
    assert predicted.pred_instances.masks.shape[1:] == SIZE_HW


def write_frames(root):
    """Two cars in one image; returns what a data set config needs to read them."""
    labels = [{"id": i, "category": "car", "poly2d": rectangle(25 * i + 3, 8, 20, 24)} for i in range(2)]
    write_json(root / "labels.json", [frame("a.png", labels)])
    cv2.imwrite(str(root / "a.png"), np.full((*SIZE_HW, 3), 90, np.uint8))
    return dict(data_root=str(root), data_prefix=dict(img=""))
