"""What our decode heads share: features, then a classifier, and terms for thin classes that only training sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F

from mmstreet.models.decode_losses import decode_losses
from mmstreet.registry import MODELS


class ThinAwareHead(BaseDecodeHead):
    """A decode head that also learns where classes meet and where thin things run. Prediction and export leave both terms out.

    The boundary term is that of the street-view study (Man, Leobandung, Jiang, Pan: Streetview Semantics, 2025), there with weight 0.2: a
    1×1 convolution on the features of the classifier gives one logit, resized like the class logits; its loss is ``mmstreet.BoundaryLoss``.

    Skeleton recall (Kirchhoff et al., ECCV 2024) is, per class, one minus the mean probability of the class along its skeleton, which
    ``mmstreet.MarkSkeletons`` adds to the sample: the Tversky loss without false positives on the pixels of the skeletons.

    A subclass gives :meth:`extract_features` and calls :meth:`add_terms` in its constructor.
    """

    def add_terms(self, *, boundary_weight: float, skeleton_weight: float) -> None:
        """Add the terms with these factors; 0 adds nothing.

        Raises:
            ValueError: If a factor is below 0.
        """
        for name, weight in (("boundary_weight", boundary_weight), ("skeleton_weight", skeleton_weight)):
            if not weight >= 0:
                raise ValueError(f"{type(self).__name__} expects {name} >= 0, got {weight}")
        self.conv_boundary = nn.Conv2d(self.channels, 1, 1) if boundary_weight else None
        boundary = dict(type="mmstreet.BoundaryLoss", loss_weight=boundary_weight)
        self.boundary_loss = MODELS.build(boundary) if boundary_weight else None
        skeleton = dict(type="mmstreet.TverskyLoss", alpha=0.0, beta=1.0, loss_weight=skeleton_weight, loss_name="loss_skeleton")
        self.skeleton_loss = MODELS.build(skeleton) if skeleton_weight else None

    def extract_features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute what the classifier sees: backbone stages in, float ``[B, channels, h, w]`` out."""
        raise NotImplementedError

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Score every class at every position of the features, float ``[B, num_classes, h, w]``, from the backbone's outputs."""
        return self.cls_seg(self.extract_features(inputs))

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: Sequence[SegDataSample]) -> dict[str, Tensor]:
        """Compute the losses of the class logits; see :func:`~mmstreet.models.decode_losses.decode_losses`."""
        return decode_losses(self, seg_logits, batch_data_samples)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: Sequence[SegDataSample], train_cfg: dict) -> dict[str, Tensor]:
        """Compute the losses of the class logits and the terms that there are, ``loss_boundary`` and ``loss_skeleton``.

        Raises:
            ValueError: If the samples carry no skeletons for the skeleton recall.
        """
        features = self.extract_features(inputs)
        logits = self.cls_seg(features)
        losses = self.loss_by_feat(logits, batch_data_samples)
        if self.boundary_loss is not None:
            labels = self._stack_batch_gt(batch_data_samples)
            losses["loss_boundary"] = self._score(self.boundary_loss, self.conv_boundary(features), labels)
        if self.skeleton_loss is not None:
            if not all("gt_edge_map" in sample for sample in batch_data_samples):
                raise ValueError(
                    "skeleton_weight needs dict(type='mmstreet.MarkSkeletons', classes=[…]) before PackSegInputs in the pipeline"
                )
            skeletons = torch.stack([sample.gt_edge_map.data for sample in batch_data_samples])
            losses["loss_skeleton"] = self._score(self.skeleton_loss, logits, skeletons)
        return losses

    def _score(self, loss: nn.Module, logits: Tensor, labels: Tensor) -> Tensor:
        """Call a loss on logits ``[B, K, h, w]`` resized to the labels ``[B, 1, H, W]``."""
        logits = F.interpolate(logits, labels.shape[2:], mode="bilinear", align_corners=self.align_corners)
        return loss(logits, labels.squeeze(1), ignore_index=self.ignore_index)
