"""Losses for thin and rare classes as OpenMMLab modules; the formulas are in ``overlap``, ``rmi``, ``boundary`` and ``soft_labels``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mmstreet.losses.boundary import boundary_loss
from mmstreet.losses.class_weights import resolve_class_weight
from mmstreet.losses.modules import BatchLoss
from mmstreet.losses.overlap import lovasz_softmax_loss, soft_jaccard_loss
from mmstreet.losses.rmi import rmi_loss
from mmstreet.losses.soft_labels import soft_label_loss
from mmstreet.registry import MODELS


@MODELS.register_module()
class LovaszSoftmaxLoss(BatchLoss):
    """Lovász-Softmax loss over all valid pixels of the batch; see :func:`mmstreet.losses.overlap.lovasz_softmax_loss`.

    Args:
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`mmstreet.losses.modules.BatchLoss`.
    """

    def __init__(self, *, loss_weight: float = 1.0, loss_name: str = "loss_lovasz") -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.overlap.lovasz_softmax_loss`."""
        return lovasz_softmax_loss(logits, labels, pixel_weight=pixel_weight, ignore_index=ignore_index)


@MODELS.register_module()
class SoftJaccardLoss(BatchLoss):
    """Jaccard metric loss over all valid pixels of the batch; see :func:`mmstreet.losses.overlap.soft_jaccard_loss`.

    Args:
        form: 1 or 2; they are equal on hard labels.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`mmstreet.losses.modules.BatchLoss`.
    """

    def __init__(self, *, form: int = 1, loss_weight: float = 1.0, loss_name: str = "loss_jaccard") -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        self.settings = dict(form=form)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.overlap.soft_jaccard_loss`."""
        return soft_jaccard_loss(logits, labels, pixel_weight=pixel_weight, ignore_index=ignore_index, **self.settings)


@MODELS.register_module()
class RMILoss(BatchLoss):
    """Region mutual information beside binary cross entropy; see :func:`mmstreet.losses.rmi.rmi_loss`.

    Args:
        radius_px: Side of the neighbourhood, in pooled pixels.
        pool: Factor of the average pooling; 1 leaves the resolution.
        bce_weight: Share of binary cross entropy, in [0, 1]; the rest is mutual information.
        eps: Ridge that keeps the matrices positive.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`mmstreet.losses.modules.BatchLoss`.
    """

    def __init__(
        self,
        *,
        radius_px: int = 3,
        pool: int = 3,
        bce_weight: float = 0.5,
        eps: float = 5e-4,
        loss_weight: float = 1.0,
        loss_name: str = "loss_rmi",
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        self.settings = dict(radius_px=radius_px, pool=pool, bce_weight=bce_weight, eps=eps)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.rmi.rmi_loss`; weights per pixel are refused."""
        _refuse_pixel_weight(self, "compares neighbourhoods of pixels", pixel_weight)
        return rmi_loss(logits, labels, ignore_index=ignore_index, **self.settings)


@MODELS.register_module()
class SoftLabelLoss(BatchLoss):
    """Cross entropy with the class shares of cells as targets; see :func:`mmstreet.losses.soft_labels.soft_label_loss`.

    Args:
        cell_px: Side of a cell, in pixels of the labels; the stride of the head's logits is the natural choice.
        class_weight: As in :class:`mmstreet.losses.modules.FocalDiceLoss`.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`mmstreet.losses.modules.BatchLoss`.
    """

    def __init__(
        self,
        *,
        cell_px: int = 4,
        class_weight: Tensor | Sequence[float] | str | Mapping | None = None,
        loss_weight: float = 1.0,
        loss_name: str = "loss_soft",
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        weights = resolve_class_weight(class_weight)
        self.register_buffer("class_weight", None if weights is None else torch.tensor(weights), persistent=False)
        self.settings = dict(cell_px=cell_px)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.soft_labels.soft_label_loss`; weights per pixel are refused."""
        _refuse_pixel_weight(self, "averages the labels of a cell", pixel_weight)
        return soft_label_loss(logits, labels, class_weight=self.class_weight, ignore_index=ignore_index, **self.settings)


@MODELS.register_module()
class BoundaryLoss(BatchLoss):
    """Binary cross entropy of one boundary logit per pixel; see :func:`mmstreet.losses.boundary.boundary_loss`.

    Heads with ``boundary_weight`` call it; the labels are those of the classes.

    Args:
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`mmstreet.losses.modules.BatchLoss`.
    """

    def __init__(self, *, loss_weight: float = 0.2, loss_name: str = "loss_boundary") -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.boundary.boundary_loss`; weights per pixel are refused."""
        _refuse_pixel_weight(self, "learns every boundary", pixel_weight)
        return boundary_loss(logits, labels, ignore_index=ignore_index)


def _refuse_pixel_weight(loss: BatchLoss, reason: str, pixel_weight: Tensor | None) -> None:
    if pixel_weight is not None:
        raise ValueError(f"{type(loss).__name__} {reason} and takes no weight per pixel; leave the sampler out")
