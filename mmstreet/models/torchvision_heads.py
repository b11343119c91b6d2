"""DeepLabV3 and FCN heads with torchvision's layers, so that every weight of its published COCO checkpoints has a place.

mmseg's own heads compute something else: its ``ASPPHead`` fuses the branches with one 3×3 convolution where torchvision projects with 1×1,
then refines with 3×3; its ``FCNHead`` drops whole channels. The layers here, their order and their dropout are those of torchvision's
``models/segmentation/deeplabv3.py`` and ``fcn.py``; :mod:`mmstreet.models.torchvision_weights` maps the names.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmstreet.models.thin_aware import ThinAwareHead
from mmstreet.registry import MODELS

_BATCH_NORM = dict(type="BN")
_FRESH_CLASSIFIER = dict(type="Normal", std=0.01, override=dict(name="conv_seg"))


class TorchvisionHead(ThinAwareHead):
    """Features, then one 1×1 convolution that classifies; the features can be frozen. A subclass gives the layers before it.

    Args:
        in_channels: Channels of the backbone stage that is read.
        num_classes: Classes to score.
        loss_decode: Loss or list of losses.
        channels: Channels that the classifier sees; a quarter of ``in_channels`` in torchvision's FCN, which is what None means.
        dropout_ratio: Share of values dropped before the classifier.
        boundary_weight: Factor of the boundary term, see :class:`~mmstreet.models.thin_aware.ThinAwareHead`; 0 leaves it out.
        skeleton_weight: Factor of the skeleton recall there; 0 leaves it out.
        in_index: Which backbone stage is read.
        norm_cfg: Normalisation layer.
        ignore_index: Label of pixels that give no loss.
        align_corners: How logits are resized to the labels; torchvision's way is False.
        freeze_features: Train the classifier alone and keep the statistics of the other layers.
        init_cfg: Initialisation of fresh layers.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        loss_decode: dict | Sequence[dict],
        channels: int | None = None,
        dropout_ratio: float = 0.1,
        in_index: int = -1,
        norm_cfg: dict = _BATCH_NORM,
        ignore_index: int = 255,
        align_corners: bool = False,
        freeze_features: bool = False,
        boundary_weight: float = 0.0,
        skeleton_weight: float = 0.0,
        init_cfg: dict | None = _FRESH_CLASSIFIER,
    ):
        super().__init__(
            in_channels,
            in_channels // 4 if channels is None else channels,
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            in_index=in_index,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            align_corners=align_corners,
            init_cfg=init_cfg,
        )
        if freeze_features and boundary_weight:
            raise ValueError("boundary_weight trains the features that freeze_features keeps as they are; set one of the two")
        self.add_terms(boundary_weight=boundary_weight, skeleton_weight=skeleton_weight)
        self.freeze_features = freeze_features
        if self.dropout is not None:
            self.dropout = nn.Dropout(self.dropout_ratio)  # torchvision drops single values, mmseg whole channels
        self.add_layers()
        self.train()  # freezes now, before an optimiser or DDP collects the parameters

    def add_layers(self) -> None:
        """Add what :meth:`extract_features` needs, where these settings are enough for it."""

    def train(self, mode: bool = True):
        """Set training mode; frozen features get no gradient and stay in eval mode, so that their statistics stay as loaded."""
        super().train(mode)
        if self.freeze_features:
            for name, module in self.named_children():
                if name not in ("conv_seg", "dropout", "loss_decode"):
                    module.eval().requires_grad_(False)
        return self


@MODELS.register_module()
class DeepLabV3Head(TorchvisionHead):
    """Atrous spatial pyramid pooling, a 1×1 projection, a 3×3 convolution and the classifier (Chen et al., arXiv 1706.05587).

    Args:
        channels: Channels of every layer of the head; 256 in torchvision.
        atrous_rates: Dilation of each 3×3 branch, beside the 1×1 branch and the pooled branch; torchvision's rates suit output stride 8.
        project_dropout: Share of values dropped after the projection.

    The other settings are those of :class:`TorchvisionHead`.

    Raises:
        ValueError: From torch, when training on a batch of one image: one pooled value per channel has no batch statistics.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        loss_decode: dict | Sequence[dict],
        channels: int = 256,
        atrous_rates: Sequence[int] = (12, 24, 36),
        project_dropout: float = 0.5,
        in_index: int = -1,
        norm_cfg: dict = _BATCH_NORM,
        ignore_index: int = 255,
        align_corners: bool = False,
        freeze_features: bool = False,
        boundary_weight: float = 0.0,
        skeleton_weight: float = 0.0,
        init_cfg: dict | None = _FRESH_CLASSIFIER,
    ):
        super().__init__(
            in_channels=in_channels,
            channels=channels,
            num_classes=num_classes,
            freeze_features=freeze_features,
            boundary_weight=boundary_weight,
            skeleton_weight=skeleton_weight,
            dropout_ratio=0,
            in_index=in_index,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            align_corners=align_corners,
            init_cfg=init_cfg,
        )
        atrous = [ConvModule(in_channels, channels, 3, padding=rate, dilation=rate, norm_cfg=norm_cfg) for rate in atrous_rates]
        self.branches = nn.ModuleList([ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg), *atrous])
        self.image_pool = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg)
        self.project = ConvModule((len(self.branches) + 1) * channels, channels, 1, norm_cfg=norm_cfg)
        self.project_dropout = nn.Dropout(project_dropout)
        self.bottleneck = ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg)
        self.train()  # freezes now, before an optimiser or DDP collects the parameters

    def extract_features(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Compute what the classifier sees: backbone stages in, float ``[B, channels, h, w]`` out."""
        x = self._transform_inputs(inputs)
        pooled = self.image_pool(F.adaptive_avg_pool2d(x, 1))  # [B, channels, 1, 1]
        outs = [branch(x) for branch in self.branches]
        outs.append(pooled.expand(-1, -1, *x.shape[2:]))
        return self.bottleneck(self.project_dropout(self.project(torch.cat(outs, dim=1))))


@MODELS.register_module()
class TorchvisionFCNHead(TorchvisionHead):
    """One 3×3 convolution and the classifier (Long et al., CVPR 2015, in torchvision's form); main head of FCN, auxiliary head of both.

    Its settings are those of :class:`TorchvisionHead`.
    """

    def add_layers(self) -> None:
        """Add the convolution."""
        self.conv = ConvModule(self.in_channels, self.channels, 3, padding=1, norm_cfg=self.norm_cfg)

    def extract_features(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Compute what the classifier sees: backbone stages in, float ``[B, channels, h, w]`` out."""
        return self.conv(self._transform_inputs(inputs))
