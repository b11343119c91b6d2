import pytest
import torch
import torch.nn.functional as F
from mmengine.runner.checkpoint import save_checkpoint
from torch import nn

from mmstreet.models.vgg import LEVELS, HypercolumnVGG

CONVS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512, "pool")


def plain_features(batch_norm):
    """VGG16's feature layers numbered as in torchvision's checkpoints."""
    torch.manual_seed(0)
    layers, channels = [], 3
    for width in CONVS:
        if width == "pool":
            layers.append(nn.MaxPool2d(2))
            continue
        layers += [nn.Conv2d(channels, width, 3, padding=1), *([nn.BatchNorm2d(width)] if batch_norm else []), nn.ReLU()]
        channels = width
    return nn.Sequential(*layers).eval()


def checkpoint(batch_norm):
    """A state dict with the names of torchvision's vgg16; the classifier is there in name only."""
    state = {f"features.{key}": value for key, value in plain_features(batch_norm).state_dict().items()}
    return state | {f"classifier.{i}.{kind}": torch.zeros(1) for i in (0, 3, 6) for kind in ("weight", "bias")}


@pytest.mark.parametrize(("batch_norm", "before_pools"), [(False, (3, 8, 15, 22, 29)), (True, (5, 12, 22, 32, 42))])
def test_torchvision_checkpoint_loads_strictly_and_levels_are_read_before_the_pools(batch_norm, before_pools):
    state, plain = checkpoint(batch_norm), plain_features(batch_norm)
    names = list(state)
    net = HypercolumnVGG(batch_norm=batch_norm).eval()
    net.load_state_dict(state, strict=True)
    assert list(state) == names  # the caller's dict is left as it was
    x = torch.randn(1, 3, 32, 64)
    with torch.no_grad():
        levels = net(x)
        for end, level in zip(before_pools, levels):
            torch.testing.assert_close(level, plain[: end + 1](x), rtol=0, atol=1e-6)
            assert (level >= 0).all()


def test_checkpoint_file_is_taken_through_init_cfg(tmp_path):
    state = checkpoint(False)
    save_checkpoint({"state_dict": state}, str(tmp_path / "vgg16.pth"))
    net = HypercolumnVGG(init_cfg={"type": "Pretrained", "checkpoint": str(tmp_path / "vgg16.pth")})
    net.init_weights()
    assert all(torch.equal(value, state[key]) for key, value in net.state_dict().items())


def test_a_network_cut_short_takes_what_it_has_layers_for():
    net = HypercolumnVGG(levels=("conv3_3", "conv1_2"))
    net.load_state_dict(checkpoint(False), strict=True)
    assert not any(key.startswith("features.17") for key in net.state_dict())  # conv4_1
    assert [tuple(level.shape) for level in net(torch.zeros(1, 3, 8, 8))] == [(1, 256, 2, 2), (1, 64, 8, 8)]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_other_kind_of_checkpoint_is_refused(batch_norm):
    with pytest.raises(ValueError, match=f"got the other kind; set batch_norm={not batch_norm}"):
        HypercolumnVGG(batch_norm=batch_norm).load_state_dict(checkpoint(not batch_norm))


def test_first_classifier_layer_becomes_a_convolution_with_the_same_answer():
    torch.manual_seed(0)
    # 400 MB of weights: all zero but for a few, which tell a wrong order of channels, rows and columns.
    linear = torch.zeros(4096, 512 * 7 * 7)
    linear[:6, torch.randint(512 * 49, (50,))] = torch.randn(6, 50)
    bias = torch.randn(4096)
    with torch.device("meta"):
        net = HypercolumnVGG(levels=("conv6",))
    state = checkpoint(False) | {"classifier.0.weight": linear, "classifier.0.bias": bias}
    net.load_state_dict(state, strict=True, assign=True)
    net.eval()
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        pooled = net.features(x)  # [1, 512, 7, 7]
        (level,) = net(x)
    assert level.shape == (1, 4096, 7, 7)
    torch.testing.assert_close(level[0, :, 3, 3], F.relu(F.linear(pooled.flatten(), linear, bias)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size_hw", "filled_hw"), [((37, 53), (48, 64)), ((32, 48), (32, 48)), ((5, 90), (16, 96)), ((1, 1), (16, 16))])
def test_any_size_gives_the_cells_that_lie_on_the_image(size_hw, filled_hw):
    net = HypercolumnVGG().eval()
    height, width = size_hw
    x = torch.randn(1, 3, height, width)
    with torch.no_grad():
        levels = net(x)
        filled = net(F.pad(x, (0, filled_hw[1] - width, 0, filled_hw[0] - height)))
    for level, whole, stride, channels in zip(levels, filled, (1, 2, 4, 8, 16), LEVELS.values()):
        assert whole.shape[2:] == (filled_hw[0] // stride, filled_hw[1] // stride)
        assert level.shape == (1, channels, -(-height // stride), -(-width // stride))
        assert torch.equal(level, whole[:, :, : level.shape[2], : level.shape[3]])


@pytest.mark.parametrize("size_hw", [(37, 53), (64, 96), (1, 33)])
def test_the_deepest_levels_of_any_size_are_those_of_the_filled_image(size_hw):
    net = HypercolumnVGG(levels=("conv2_2", "conv6", "conv7"), base_channels=2).eval()
    height, width = size_hw
    x = torch.randn(1, 3, height, width)
    with torch.no_grad():
        levels, filled = net(x), net(F.pad(x, (0, -width % 32, 0, -height % 32)))
    for level, whole, stride in zip(levels, filled, (2, 32, 32)):
        assert level.shape[2:] == (-(-height // stride), -(-width // stride))
        assert torch.equal(level, whole[:, :, : level.shape[2], : level.shape[3]])


def test_a_narrow_network_has_every_layer_in_proportion():
    with torch.device("meta"):
        wide, narrow = (HypercolumnVGG(levels=("conv1_2", "conv7"), base_channels=n).state_dict() for n in (64, 16))
    assert list(wide) == list(narrow)
    for key, value in wide.items():
        inner = value.shape[1] if key == "features.0.weight" else value.shape[1] // 4 if value.ndim > 1 else None
        assert narrow[key].shape == (value.shape[0] // 4, *([] if inner is None else [inner, *value.shape[2:]])), key
    assert [level.shape[1] for level in HypercolumnVGG(base_channels=5)(torch.zeros(1, 3, 16, 16))] == [5, 10, 20, 40, 40]


def test_a_network_without_channels_is_refused():
    with pytest.raises(ValueError, match="base_channels of at least 1, got 0"):
        HypercolumnVGG(base_channels=0)


def test_gradient_reaches_the_first_layer_through_every_level():
    for name in ("conv1_2", "conv2_2", "conv5_3"):
        net = HypercolumnVGG(levels=(name,))
        net.init_weights()
        net(torch.randn(1, 3, 16, 16))[0].sum().backward()
        assert net.features[0].weight.grad.abs().sum() > 0


@pytest.mark.parametrize("levels", [(), ("conv1_1",), ("conv1_2", "conv1_2")])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ValueError, match="levels must be different names out of conv1_2, conv2_2"):
        HypercolumnVGG(levels=levels)
