import pytest
import torch
from torch import nn

from mmstreet.models.torchvision_heads import DeepLabV3Head, TorchvisionFCNHead
from mmstreet.models.torchvision_weights import find_layout, rename_tensors
from tests.helpers.torchvision_models import ResNet, Segmentation, randomize_
from tests.models.test_torchvision_weights import CE, D8, build

HEADS = [lambda **kw: DeepLabV3Head(in_channels=8, channels=4, **kw), lambda **kw: TorchvisionFCNHead(in_channels=8, **kw)]


def load(ours, theirs):
    state_dict = theirs.state_dict()
    return ours.load_state_dict(rename_tensors(state_dict, find_layout(state_dict)), strict=False)


@pytest.mark.parametrize(("kind", "head"), [("deeplabv3", "DeepLabV3Head"), ("fcn", "TorchvisionFCNHead")])
@torch.no_grad()
def test_logits_equal_those_of_torchvisions_model(kind, head):
    theirs, ours = randomize_(Segmentation(kind)).double(), build(head=head, **D8).double()
    outcome = load(ours, theirs)
    assert not outcome.missing_keys
    assert not outcome.unexpected_keys
    images = torch.randn(2, 3, 65, 65, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    features = ours.extract_feat(images)
    for want, our_head in zip(theirs(images), (ours.decode_head, ours.auxiliary_head), strict=True):
        got = our_head.predict_by_feat(our_head(features), [dict(img_shape=(65, 65))])
        assert want.std() > 0.05
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("depth", "dilate", "settings"), [(50, (False, True, True), D8), (18, (False,) * 3, {})])
@torch.no_grad()
def test_every_block_of_the_backbone_computes_what_torchvisions_does(depth, dilate, settings):
    theirs, ours = randomize_(ResNet(depth, dilate)), build(depth=depth, **settings)
    load(ours, theirs)
    x = torch.randn(1, 64, 17, 17, generator=torch.Generator().manual_seed(1))
    for stage in range(1, 5):
        pairs = list(zip(getattr(theirs, f"layer{stage}"), getattr(ours.backbone, f"layer{stage}"), strict=True))
        for want, got in pairs:
            torch.testing.assert_close(got(x), want(x), rtol=1e-5, atol=1e-5)
            x = want(x)


def test_only_the_first_dilated_block_of_a_stage_keeps_the_dilation_before():
    with torch.device("meta"):
        backbone = build(**D8).backbone
    assert [block.conv2.dilation[0] for block in backbone.layer3] == [1, 2, 2, 2, 2, 2]
    assert [block.conv2.dilation[0] for block in backbone.layer4] == [2, 4, 4]


@pytest.mark.parametrize("make", HEADS)
def test_frozen_features_keep_weights_and_statistics_while_the_classifier_learns(make):
    head = make(num_classes=3, loss_decode=CE, freeze_features=True).train()
    assert {name for name, parameter in head.named_parameters() if parameter.requires_grad} == {"conv_seg.weight", "conv_seg.bias"}
    before = {key: tensor.clone() for key, tensor in head.state_dict().items()}
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    head((torch.randn(2, 8, 5, 5),)).square().mean().backward()
    optimizer.step()
    changed = {key for key, tensor in head.state_dict().items() if not torch.equal(tensor, before[key])}
    assert changed == {"conv_seg.weight", "conv_seg.bias"}


@pytest.mark.parametrize("make", HEADS)
def test_features_train_unless_frozen(make):
    head = make(num_classes=3, loss_decode=CE).train()
    assert all(parameter.requires_grad for parameter in head.parameters())
    assert all(module.training for module in head.modules())


@pytest.mark.parametrize("make", HEADS)
def test_logits_have_the_size_of_the_feature_map(make):
    assert make(num_classes=3, loss_decode=CE).eval()((torch.randn(1, 8, 6, 9),)).shape == (1, 3, 6, 9)


def test_dropout_takes_single_values_not_whole_channels():
    head = TorchvisionFCNHead(in_channels=8, num_classes=3, dropout_ratio=0.5, loss_decode=CE)
    assert type(head.dropout) is nn.Dropout
    assert head.dropout.p == 0.5
    assert DeepLabV3Head(in_channels=8, channels=4, num_classes=3, loss_decode=CE).dropout is None


def test_a_misspelt_setting_is_reported_by_name():
    with pytest.raises(TypeError, match="atrous_rate"):
        DeepLabV3Head(in_channels=8, num_classes=3, loss_decode=CE, atrous_rate=(1,))
