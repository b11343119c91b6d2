import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmstreet.models.torchvision_weights import LAYOUTS, PUBLISHED, find_layout, rename_tensors
from mmstreet.models.vgg import HypercolumnVGG
from tests.helpers.torchvision_models import VGG16, ResNet, Segmentation

CE = dict(type="CrossEntropyLoss", avg_non_ignore=True)
D8 = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True)


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def build(depth=50, head="DeepLabV3Head", num_classes=21, **backbone):
    """Our model for one of torchvision's."""
    init_default_scope("mmseg")
    wide = {18: 512, 50: 2048}[depth]
    return MODELS.build(
        dict(
            type="EncoderDecoder",
            backbone=dict(type="ResNet", depth=depth, **backbone),
            decode_head=dict(type=f"mmstreet.{head}", in_channels=wide, num_classes=num_classes, loss_decode=CE),
            auxiliary_head=dict(
                type="mmstreet.TorchvisionFCNHead", in_channels=wide // 2, in_index=2, num_classes=num_classes, loss_decode=CE
            ),
        )
    ).eval()


@pytest.mark.parametrize(
    ("model", "published"),
    [
        (lambda: Segmentation("deeplabv3"), 42_004_074),
        (lambda: Segmentation("fcn"), 35_322_218),
        (lambda: ResNet(50), 25_557_032),
        (lambda: ResNet(18), 11_689_512),
        (lambda: VGG16(), 138_357_544),
        (lambda: VGG16(batch_norm=True), 138_365_992),
    ],
)
def test_the_restated_models_have_the_parameter_counts_that_torchvision_publishes(model, published):
    with torch.device("meta"):
        assert count(model()) == published


@pytest.mark.parametrize(("kind", "head"), [("deeplabv3", "DeepLabV3Head"), ("fcn", "TorchvisionFCNHead")])
def test_every_tensor_of_a_coco_checkpoint_has_exactly_one_place_and_no_place_stays_empty(kind, head):
    with torch.device("meta"):
        theirs, ours = Segmentation(kind).state_dict(), build(head=head, **D8).state_dict()
    renamed = rename_tensors(theirs, find_layout(theirs))
    assert len(renamed) == len(theirs)
    assert {key: tensor.shape for key, tensor in renamed.items()} == {key: tensor.shape for key, tensor in ours.items()}


@pytest.mark.parametrize("depth", [18, 50])
def test_an_imagenet_checkpoint_fills_the_backbone_and_only_its_classifier_is_dropped(depth):
    with torch.device("meta"):
        theirs, ours = ResNet(depth).state_dict(), build(depth=depth).backbone.state_dict()
    renamed = rename_tensors(theirs, find_layout(theirs))
    assert len(renamed) == len(theirs) - 2
    assert {key: tensor.shape for key, tensor in renamed.items()} == {f"backbone.{key}": tensor.shape for key, tensor in ours.items()}


@pytest.mark.parametrize("batch_norm", [False, True])
def test_a_vgg16_fills_the_backbone_of_a_hypercolumn_and_only_its_last_layer_is_dropped(batch_norm):
    with torch.device("meta"):
        theirs = VGG16(batch_norm).state_dict()
        ours = HypercolumnVGG(levels=("conv1_2", "conv7"), batch_norm=batch_norm).state_dict()
    renamed = rename_tensors(theirs, find_layout(theirs))
    assert len(renamed) == len(theirs) - 2
    assert {key: tensor.shape for key, tensor in renamed.items()} == {f"backbone.{key}": tensor.shape for key, tensor in ours.items()}


def test_each_layout_is_recognised_by_its_own_marker_alone():
    with torch.device("meta"):
        models = {
            "DeepLabV3": Segmentation("deeplabv3"),
            "FCN": Segmentation("fcn"),
            "ImageNet ResNet": ResNet(18),
            "ImageNet VGG16": VGG16(),
        }
        assert find_layout(build(**D8).state_dict()) is None
    assert {name: find_layout(model.state_dict()).name for name, model in models.items()} == {name: name for name in models}
    assert len({layout.name for layout in LAYOUTS}) == len(LAYOUTS)


def test_a_tensor_without_a_rule_is_refused_by_name():
    with torch.device("meta"):
        theirs = ResNet(18).state_dict() | {"layer5.0.conv1.weight": torch.zeros(1)}
    with pytest.raises(ValueError, match=r"layer5\.0\.conv1\.weight"):
        rename_tensors(theirs, find_layout(theirs))


def test_every_published_address_ends_with_its_hash():
    for url in PUBLISHED.values():
        assert url.startswith("https://download.pytorch.org/models/")
        assert len(url.removesuffix(".pth").rpartition("-")[2]) == 8
