"""What our decode heads share: features, then a classifier, and where wanted a boundary logit that only training sees."""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F

from mmstreet.registry import MODELS


class BoundaryAwareHead(BaseDecodeHead):
    """A decode head whose features also say where classes meet.

    The boundary-aware auxiliary term of the street-view study (Man, Leobandung, Jiang, Pan: Streetview Semantics, 2025): a 1×1
    convolution on the features of the classifier gives one logit, which is resized like the class logits; its loss is
    ``mmstreet.BoundaryLoss``. The study's weight is 0.2. Prediction and export leave the branch out.

    A subclass gives :meth:`extract_features` and calls :meth:`add_boundary` in its constructor.
    """

    def add_boundary(self, weight: float) -> None:
        """Add the branch with this factor of its loss; 0 adds nothing.

        Raises:
            ValueError: If ``weight`` is below 0.
        """
        if not weight >= 0:
            raise ValueError(f"{type(self).__name__} expects boundary_weight >= 0, got {weight}")
        self.conv_boundary = nn.Conv2d(self.channels, 1, 1) if weight else None
        self.boundary_loss = MODELS.build(dict(type="mmstreet.BoundaryLoss", loss_weight=weight)) if weight else None

    def extract_features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute what the classifier sees: backbone stages in, float ``[B, channels, h, w]`` out."""
        raise NotImplementedError

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Score every class at every position of the features, float ``[B, num_classes, h, w]``, from the backbone's outputs."""
        return self.cls_seg(self.extract_features(inputs))

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: Sequence[SegDataSample], train_cfg: dict) -> dict[str, Tensor]:
        """Compute the losses of the class logits and, where there is the branch, of its logit, as ``loss_boundary``."""
        features = self.extract_features(inputs)
        losses = self.loss_by_feat(self.cls_seg(features), batch_data_samples)
        if self.boundary_loss is not None:
            labels = self._stack_batch_gt(batch_data_samples).squeeze(1)
            logits = F.interpolate(self.conv_boundary(features), labels.shape[1:], mode="bilinear", align_corners=self.align_corners)
            losses[self.boundary_loss.loss_name] = self.boundary_loss(logits, labels, ignore_index=self.ignore_index)
        return losses
