"""Torchvision's Mask R-CNN in MMDetection: every weight has a place, and every layer gives the same numbers."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

from mmdet.datasets import CocoDataset
from mmdet.registry import MODELS

from mmstreet.engine.pretrained import fit_weights
from mmstreet.labels import BDD100K_INS8
from mmstreet.models.coco_classes import UNUSED_IDS, USED_IDS, pick_classes
from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, list_left_out, rename_tensors
from tests.helpers.torchvision_mask_rcnn import MaskRCNN
from tests.helpers.torchvision_models import randomize_

CONFIG = Path(__file__).parents[2] / "configs" / "mask_rcnn_bdd_heads.py"
CLASSIFIERS = ("roi_head.bbox_head.fc_cls", "roi_head.bbox_head.fc_reg", "roi_head.mask_head.conv_logits")


def build(num_classes=80, device="meta"):
    init_default_scope("mmdet")
    model = copy.deepcopy(Config.fromfile(CONFIG).model)
    model.roi_head.bbox_head.num_classes = model.roi_head.mask_head.num_classes = num_classes
    with torch.device(device):
        return MODELS.build(model).eval()


def convert(state_dict):
    return rename_tensors(state_dict, find_layout(state_dict))


def parameters_and_statistics(model):
    return {key: tensor.shape for key, tensor in model.state_dict().items() if not key.endswith("num_batches_tracked")}


def test_the_restated_model_has_the_parameter_count_that_torchvision_publishes():
    with torch.device("meta"):
        model = MaskRCNN()
    frozen = sum(p.numel() for name, p in model.backbone.body.named_parameters() if "bn" in name or "downsample.1" in name)
    assert sum(p.numel() for p in model.parameters()) - frozen == 44_401_393


@pytest.mark.parametrize("published", [True, False])
def test_every_tensor_has_exactly_one_place_and_no_place_stays_empty(published):
    with torch.device("meta"):
        theirs = MaskRCNN(published=published).state_dict()
    renamed = convert(theirs)
    assert len(renamed) == len(theirs)
    assert {key: tensor.shape for key, tensor in renamed.items()} == parameters_and_statistics(build())


def test_what_has_no_place_is_listed():
    with torch.device("meta"):
        theirs = MaskRCNN().state_dict()
    listed = list_left_out(theirs, find_layout(theirs))
    assert len(listed) == 2
    assert ", ".join(map(str, UNUSED_IDS)) in listed[0]
    assert "background" in listed[1]
    assert len(USED_IDS) == 80


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    theirs = randomize_(MaskRCNN())
    ours = build(device="cpu")
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-30
    missing, unexpected = ours.load_state_dict(convert(theirs.state_dict()), strict=False)
    assert not unexpected
    assert all(key.endswith("num_batches_tracked") for key in missing)
    return theirs, ours


def test_the_epsilon_of_batch_norm_is_positive_and_changes_no_variance(pair):
    epsilons = {module.eps for module in pair[1].modules() if isinstance(module, torch.nn.BatchNorm2d)}
    assert all(eps > 0 for eps in epsilons)
    variances = torch.logspace(-20, 3, 400)
    assert all(torch.equal(torch.rsqrt(variances + eps), torch.rsqrt(variances)) for eps in epsilons)


@torch.no_grad()
def test_pyramid_and_proposals_are_equal(pair):
    theirs, ours = pair
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    expected = theirs.pyramid(images)
    levels = ours.extract_feat(images)
    assert len(levels) == len(expected) == 5
    for level, other in zip(levels, expected):
        torch.testing.assert_close(level, other, rtol=1e-4, atol=1e-4)
    scores, deltas = ours.rpn_head(expected[:1])
    for found, other in zip((scores[0], deltas[0]), theirs.propose(expected[0])):
        torch.testing.assert_close(found, other, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_class_has_the_score_box_and_mask_of_its_coco_id_and_the_background_comes_last(pair):
    theirs, ours = pair
    generator = torch.Generator().manual_seed(2)
    regions = torch.randn(2, 256, 7, 7, generator=generator)
    scores, boxes = theirs.classify(regions)
    found_scores, found_boxes = ours.roi_head.bbox_head(regions)
    torch.testing.assert_close(found_scores[:, -1], scores[:, 0])
    regions = torch.randn(1, 256, 14, 14, generator=generator)
    masks, found_masks = theirs.segment(regions), ours.roi_head.mask_head(regions)
    # MMDetection's order of COCO's classes, and the category ids in COCO's annotation files
    names = CocoDataset.METAINFO["classes"]
    published = {
        "person": 1,
        "stop sign": 13,
        "bench": 15,
        "backpack": 27,
        "wine glass": 46,
        "dining table": 67,
        "tv": 72,
        "toothbrush": 90,
    }
    for name, coco_id in published.items():
        row = names.index(name)
        torch.testing.assert_close(found_scores[:, row], scores[:, coco_id])
        torch.testing.assert_close(found_boxes[:, 4 * row : 4 * row + 4], boxes[:, 4 * coco_id : 4 * coco_id + 4])
        torch.testing.assert_close(found_masks[:, row], masks[:, coco_id], rtol=1e-4, atol=1e-4)


def test_stage_one_starts_with_new_layers_for_its_classes_and_nothing_else_new():
    with torch.device("meta"):
        theirs = MaskRCNN().state_dict()
    kept, fresh, unused = fit_weights(convert(theirs), build(8))
    assert sorted(line.partition(" ")[0] for line in fresh) == sorted(CLASSIFIERS)
    assert unused == []
    assert len(kept) == len(theirs) - 6
    assert Config.fromfile(CONFIG).load_from == PUBLISHED["maskrcnn_resnet50_fpn"]


def test_picked_classes_keep_the_weights_of_their_coco_class(pair):
    theirs, _ = pair
    weights = theirs.state_dict()
    picked = pick_classes(convert(weights), BDD100K_INS8.names)
    kept, fresh, _ = fit_weights(picked, build(8))
    assert fresh == []
    assert len(kept) == len(weights)
    classifier, regressor = picked[f"{CLASSIFIERS[0]}.bias"], picked[f"{CLASSIFIERS[1]}.bias"]
    for row, coco_id in enumerate((1, 1, 3, 8, 6, 7, 4, 2, 0)):  # in the order of the table, background last
        assert classifier[row] == weights["roi_heads.box_predictor.cls_score.bias"][coco_id]
        if coco_id:
            assert regressor[4 * row + 3] == weights["roi_heads.box_predictor.bbox_pred.bias"][4 * coco_id + 3]
            assert picked[f"{CLASSIFIERS[2]}.bias"][row] == weights["roi_heads.mask_predictor.mask_fcn_logits.bias"][coco_id]


def test_a_class_that_coco_lacks_is_refused_by_name():
    with pytest.raises(ValueError, match="'vegetation'"):
        pick_classes({}, ("car", "vegetation"))


def test_a_model_of_other_classes_is_refused():
    with torch.device("meta"):
        theirs = MaskRCNN(num_classes=5).state_dict()
    with pytest.raises(ValueError, match=r"expected 91 rows.*\[5"):
        convert(theirs)
