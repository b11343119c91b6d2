"""VGG16 as a source of hypercolumns: each level is read after its last ReLU and before the pool that halves it."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmstreet.registry import MODELS

_BLOCKS = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))  # channels of each convolution, in units of the first one's
LEVELS = {"conv1_2": 64, "conv2_2": 128, "conv3_3": 256, "conv4_3": 512, "conv5_3": 512, "conv6": 4096, "conv7": 4096}
"""The levels and their channels at full width; a cell of the first five is 1, 2, 4, 8, 16 pixels wide, of the last two 32."""


@MODELS.register_module()
class HypercolumnVGG(BaseModule):
    """VGG16 (Simonyan and Zisserman, ICLR 2015) with the levels that PixelNet reads.

    The layers carry torchvision's names, so its ``vgg16`` and ``vgg16_bn`` checkpoints load unchanged:
    ``init_cfg=dict(type='Pretrained', checkpoint=...)``. Its two hidden classifier layers become ``conv6`` and
    ``conv7``; what this network has no layer for, the 1000-way output at least, is left out. Images are expected in
    torchvision's normalisation, RGB with ImageNet's mean and standard deviation.

    Args:
        levels: Which levels to return, names from :data:`LEVELS`, in this order.
        base_channels: Channels of the first level. 64 is VGG16; less makes every layer narrower in proportion, for training
            from scratch with little compute, and no published checkpoint fits then.
        batch_norm: Whether a batch norm follows each of the thirteen convolutions.
        dropout_ratio: Dropout after ``conv6`` and ``conv7``.
        init_cfg: How weights start; ``None`` is Kaiming's normal initialisation.

    Raises:
        ValueError: If a level is unknown or a duplicate, ``base_channels`` is not positive, or a checkpoint with batch
            norm meets a network without, or the other way round.
    """

    def __init__(
        self,
        *,
        levels: Sequence[str] = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"),
        base_channels: int = 64,
        batch_norm: bool = False,
        dropout_ratio: float = 0.5,
        init_cfg: dict | list | None = None,
    ):
        unknown = [name for name in levels if name not in LEVELS]
        if unknown or len(set(levels)) != len(levels) or not levels:
            raise ValueError(f"levels must be different names out of {', '.join(LEVELS)}; got {', '.join(levels) or 'none'}")
        if base_channels < 1:
            raise ValueError(f"HypercolumnVGG expects base_channels of at least 1, got {base_channels}")
        start = [{"type": "Kaiming", "layer": "Conv2d"}, {"type": "Constant", "val": 1, "layer": "BatchNorm2d"}]
        super().__init__(init_cfg=start if init_cfg is None else init_cfg)
        self.levels = tuple(levels)
        self.batch_norm = batch_norm

        deepest = max(list(LEVELS).index(name) for name in levels)
        layers, channels = [], 3
        self._level_ends = {}
        for name, block in list(zip(LEVELS, _BLOCKS))[: deepest + 1]:
            for width in (base_channels * times for times in block):
                layers += [
                    nn.Conv2d(channels, width, 3, padding=1),
                    *([nn.BatchNorm2d(width)] if batch_norm else []),
                    nn.ReLU(inplace=True),
                ]
                channels = width
            self._level_ends[len(layers) - 1] = name
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*(layers if deepest >= 5 else layers[:-1]))
        self.conv6 = _hidden(8 * base_channels, 64 * base_channels, 7, dropout_ratio) if deepest >= 5 else None
        self.conv7 = _hidden(64 * base_channels, 64 * base_channels, 1, dropout_ratio) if deepest >= 6 else None
        self._pad_to = 2 ** min(deepest, 5)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Compute the levels.

        Sizes that are no multiple of the widest cell are filled up with zeros at the right and bottom; of each level
        only cells that lie on the image, at least in part, are returned.

        Args:
            images: Normalised images, float ``[B, 3, H, W]``.

        Returns:
            One map ``[B, C_l, ceil(H / s_l), ceil(W / s_l)]`` per level, in the order of ``levels``.
        """
        height, width = images.shape[2:]
        x = F.pad(images, (0, -width % self._pad_to, 0, -height % self._pad_to))
        found = {}
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._level_ends:
                found[self._level_ends[index]] = x
        for name in ("conv6", "conv7"):
            if getattr(self, name) is not None:
                found[name] = x = getattr(self, name)(x)
        strides = [2 ** min(list(LEVELS).index(name), 5) for name in self.levels]
        return tuple(found[name][:, :, : -(-height // s), : -(-width // s)] for name, s in zip(self.levels, strides))

    def _load_from_state_dict(self, state_dict, prefix, *args):
        """Give torchvision's hidden classifier layers our names and shapes, and leave out layers that are not here."""
        first = f"{prefix}features.0.weight"
        if first in state_dict and (f"{prefix}features.1.weight" in state_dict) != self.batch_norm:
            raise ValueError(
                f"expected a checkpoint of VGG16 {'with' if self.batch_norm else 'without'} batch norm, got the other kind; "
                f"set batch_norm={not self.batch_norm} or take the other checkpoint"
            )
        for theirs, ours in (("classifier.0", "conv6"), ("classifier.3", "conv7")):
            for kind in ("weight", "bias"):
                value = state_dict.pop(f"{prefix}{theirs}.{kind}", None)
                if value is not None and getattr(self, ours) is not None:
                    shape = getattr(getattr(self, ours)[0], kind).shape
                    state_dict[f"{prefix}{ours}.0.{kind}"] = value.reshape(shape)
        for key in list(state_dict):
            place, _, rest = key.removeprefix(prefix).partition(".")
            if key.startswith(prefix) and (
                place == "classifier" or (place == "features" and int(rest.split(".")[0]) >= len(self.features))
            ):
                del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *args)


def _hidden(channels: int, width: int, kernel_size: int, dropout_ratio: float) -> nn.Sequential:
    """One hidden layer of VGG's classifier as a convolution that keeps the size."""
    return nn.Sequential(
        nn.Conv2d(channels, width, kernel_size, padding=kernel_size // 2), nn.ReLU(inplace=True), nn.Dropout(dropout_ratio)
    )
