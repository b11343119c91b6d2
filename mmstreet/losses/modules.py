"""The losses as OpenMMLab modules: settings and weights here, formulas in :mod:`mmstreet.losses.functional`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmstreet.losses.class_weights import resolve_class_weight
from mmstreet.losses.focal_dice import measured_focal_dice
from mmstreet.losses.functional import tversky_loss
from mmstreet.readback import Watch
from mmstreet.registry import MODELS


class BatchLoss(nn.Module):
    """A loss that is one number for the batch, called as mmseg's heads call theirs; a subclass gives :meth:`compute` and ``settings``.

    On an accelerator no call waits for it: a label that is no class counts as ignored, and raises at the next call or at ``watch.read()``.

    Args:
        loss_weight: Factor of the whole.
        loss_name: Name in the log; mmengine trains on losses whose name contains ``loss`` and only logs the rest.
    """

    def __init__(self, *, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.settings: dict[str, float | str] = {}
        self.watch = Watch()

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
        reduction_override: str | None = None,
        **more: Tensor,
    ) -> Tensor:
        """Compute the loss of one batch, as mmseg's heads call it.

        Args:
            logits: Raw scores, float ``[B, C, H, W]``.
            labels: Class ids, integer ``[B, H, W]``.
            weight: Weight of each pixel ``[B, H, W]``, as an OHEM sampler gives it; a pixel of weight 0 counts as ignored.
            ignore_index: Label of the pixels that give neither loss nor gradient.
            reduction_override: Refused unless ``None`` or ``'mean'``: such a loss has no value per pixel.
            **more: What else the loss takes.

        Returns:
            Scalar.

        Raises:
            ValueError: If shapes or label ids do not fit, or a loss per pixel is asked for.
        """
        if reduction_override not in (None, "mean"):
            raise ValueError(
                f"{type(self).__name__} gives one number for the batch and cannot reduce by '{reduction_override}'; "
                "an OHEM sampler works with it when its 'thresh' is set"
            )
        with self.watch.step():
            return self.loss_weight * self.compute(logits, labels, pixel_weight=weight, ignore_index=ignore_index, **more)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Compute the loss without its factor; see :meth:`forward`."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Show the settings."""
        return ", ".join(f"{name}={value}" for name, value in {**self.settings, "loss_weight": self.loss_weight}.items())


@MODELS.register_module()
class FocalDiceLoss(BatchLoss):
    """Softmax focal loss plus soft Dice, for mmseg's decode heads; see :func:`mmstreet.losses.functional.focal_dice_loss`.

    With ``gamma=0, dice_weight=0`` it is the cross entropy averaged over valid pixels. Take this where class weights meet ignored pixels:
    the ``CrossEntropyLoss(class_weight=…)`` of mmseg 1.2.2 fails there, and so does the fork's 1.4.2 with ``avg_non_ignore=True``. Without
    class weights their ``CrossEntropyLoss(avg_non_ignore=True)`` is right.

    The class weights are a buffer, so they move with the model, but are not saved: they belong to the config, and a checkpoint of one
    variant loads into another, or into a head with an upstream loss, without a missing or unexpected key.

    Args:
        class_weight: Weights ``[C]``, the name of a preset, or settings such as ``dict(table='street6', method='inverse', clip=(0.1, 10),
            boosts=dict(pole=2))``; see :func:`mmstreet.losses.class_weights.resolve_class_weight`.
        gamma: Focus on hard pixels, >= 0.
        dice_weight: Factor of the Dice term, >= 0.
        eps: Smoothing of the Dice ratio, >= 0.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`BatchLoss`.

    Attributes:
        accuracy: Per cent of the valid pixels of the last batch whose label has the highest score, ``[1]``; heads of this package log it.

    Raises:
        ValueError: If ``class_weight`` cannot be read.

    Example:
        >>> loss = FocalDiceLoss(class_weight="street6_published", gamma=3.0)
        >>> loss(torch.zeros(1, 6, 4, 4), torch.full((1, 4, 4), 255))  # nothing but ignored pixels
        tensor(0.)
    """

    def __init__(
        self,
        *,
        class_weight: Tensor | Sequence[float] | str | Mapping | None = None,
        gamma: float = 2.0,
        dice_weight: float = 0.3,
        eps: float = 1e-6,
        loss_weight: float = 1.0,
        loss_name: str = "loss_focal_dice",
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        weights = resolve_class_weight(class_weight)
        self.register_buffer("class_weight", None if weights is None else torch.tensor(weights), persistent=False)
        self.settings = dict(gamma=gamma, dice_weight=dice_weight, eps=eps)
        self.accuracy: Tensor | None = None

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.focal_dice.measured_focal_dice`."""
        loss, right = measured_focal_dice(
            logits, labels, class_weight=self.class_weight, pixel_weight=pixel_weight, ignore_index=ignore_index, **self.settings
        )
        self.accuracy = 100 * right.reshape(1)
        return loss

    def extra_repr(self) -> str:
        """Show the settings, with the weights as computed."""
        weights = None if self.class_weight is None else [round(w, 4) for w in self.class_weight.tolist()]
        return f"class_weight={weights}, {super().extra_repr()}"


@MODELS.register_module()
class TverskyLoss(BatchLoss):
    """One minus the Tversky index, with its two weights; see :func:`mmstreet.losses.functional.tversky_loss`.

    Args:
        alpha: Cost of a false positive, >= 0.
        beta: Cost of a false negative, >= 0; above ``alpha`` it favours finding thin and small objects.
        eps: Smoothing of the ratio, >= 0.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`BatchLoss`.

    Example:
        >>> TverskyLoss(alpha=0.3, beta=0.7)(torch.zeros(1, 2, 1, 1), torch.tensor([[[1]]]))
        tensor(0.4118)
    """

    def __init__(
        self, *, alpha: float = 0.3, beta: float = 0.7, eps: float = 1e-6, loss_weight: float = 1.0, loss_name: str = "loss_tversky"
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        self.settings = dict(alpha=alpha, beta=beta, eps=eps)

    def compute(self, logits: Tensor, labels: Tensor, *, pixel_weight: Tensor | None, ignore_index: int) -> Tensor:
        """Call :func:`mmstreet.losses.functional.tversky_loss`."""
        return tversky_loss(logits, labels, pixel_weight=pixel_weight, ignore_index=ignore_index, **self.settings)
