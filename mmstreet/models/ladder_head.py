"""A light decoder: pyramid pooling on the coarsest level, then a ladder of lateral connections up to the finest."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmstreet.models.grid_pooling import pool_to_rows
from mmstreet.models.thin_aware import ThinAwareHead
from mmstreet.registry import MODELS

_BATCH_NORM = dict(type="BN")


@MODELS.register_module()
class LadderHead(ThinAwareHead):
    """SwiftNet's decoder (Orsic et al., CVPR 2019): logits at the stride of the finest level that is read.

    The coarsest level is pooled to grids of several sizes, which are resized, joined and fused. At each finer level a 1×1 convolution
    brings the backbone's features to ``channels``, the coarser map is resized and added, and a 3×3 convolution blends both.

    Args:
        in_channels: Channels of the levels, finest first.
        in_index: Which outputs of the backbone they are.
        num_classes: Number of classes.
        loss_decode: Loss or list of losses.
        channels: Channels of every layer of the ladder.
        grids: Rows of the pooled grids; columns follow the aspect ratio of the input.
        dropout_ratio: Share of channels dropped before the classifier.
        boundary_weight: Factor of the boundary term, see :class:`~mmstreet.models.thin_aware.ThinAwareHead`; 0 leaves it out.
        skeleton_weight: Factor of the skeleton recall there; 0 leaves it out.
        sampler: mmseg's pixel sampler, such as ``dict(type="OHEMPixelSampler", thresh=0.7, min_kept=20000)``.
        norm_cfg: Normalisation layer.
        ignore_index: Label of pixels that give no loss.
        align_corners: How maps are resized.
        init_cfg: Initialisation of the layers.
    """

    def __init__(
        self,
        *,
        in_channels: Sequence[int],
        num_classes: int,
        loss_decode: dict | Sequence[dict],
        in_index: Sequence[int] = (0, 1, 2, 3),
        channels: int = 96,
        grids: Sequence[int] = (8, 4, 2, 1),
        dropout_ratio: float = 0.1,
        boundary_weight: float = 0.0,
        skeleton_weight: float = 0.0,
        sampler: dict | None = None,
        norm_cfg: dict = _BATCH_NORM,
        ignore_index: int = 255,
        align_corners: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        if len(in_channels) != len(in_index) or len(in_channels) < 2:
            raise ValueError(f"LadderHead reads two levels or more, one index each; got {list(in_channels)} and {list(in_index)}")
        super().__init__(
            list(in_channels),
            channels,
            num_classes=num_classes,
            in_index=list(in_index),
            input_transform="multiple_select",
            dropout_ratio=dropout_ratio,
            sampler=sampler,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            align_corners=align_corners,
            init_cfg=init_cfg or dict(type="Normal", std=0.01, override=dict(name="conv_seg")),
        )
        self.grids = tuple(grids)
        pooled = max(1, channels // len(self.grids))
        self.reduce = ConvModule(in_channels[-1], channels, 1, norm_cfg=norm_cfg)
        self.pooled = nn.ModuleList(ConvModule(channels, pooled, 1, norm_cfg=norm_cfg) for _ in self.grids)
        self.fuse = ConvModule(channels + pooled * len(self.grids), channels, 1, norm_cfg=norm_cfg)
        self.lateral = nn.ModuleList(ConvModule(width, channels, 1, norm_cfg=norm_cfg, act_cfg=None) for width in in_channels[:-1])
        self.blend = nn.ModuleList(ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg) for _ in in_channels[:-1])
        self.add_terms(
            boundary_weight=boundary_weight, skeleton_weight=skeleton_weight
        )  # last, so that a seed draws the other layers alike

    def extract_features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute what the classifier sees, float ``[B, channels, h, w]`` at the stride of the finest level."""
        levels = self._transform_inputs(inputs)
        x = self._pool_pyramid(self.reduce(levels[-1]))
        for level, lateral, blend in zip(levels[-2::-1], self.lateral[::-1], self.blend[::-1]):
            x = blend(F.relu(self._resize(x, level) + lateral(level)))
        return x

    def _pool_pyramid(self, x: Tensor) -> Tensor:
        parts = [self._resize(layer(pool_to_rows(x, rows)), x) for rows, layer in zip(self.grids, self.pooled)]
        return self.fuse(torch.cat([x, *parts], 1))

    def _resize(self, x: Tensor, like: Tensor) -> Tensor:
        return F.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=self.align_corners)
