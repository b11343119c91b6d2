"""CARB's loss as an OpenMMLab module: the iteration count and the queue of region losses that balance it."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmstreet.losses.modules import BatchLoss
from mmstreet.losses.region_balance import balance_factor, region_means
from mmstreet.losses.slabs import carb_loss
from mmstreet.registry import MODELS


@MODELS.register_module()
class CARBLoss(BatchLoss):
    """Consistency-aware region balancing for pseudo-labels; see :func:`mmstreet.losses.region_balance.carb_loss`.

    For the first ``warmup_iters`` training iterations it is the cross entropy averaged over valid pixels. Then pixels on which network and
    pseudo-label agree are weighed against the others by λ: either constant, or the ratio of the two mean losses over the latest steps, so
    that unreliable regions never outweigh reliable ones. In evaluation mode nothing is counted and λ stays as it is.

    The iteration count, the queue and its length are buffers: they move with the model and are saved, so a resumed run goes on with the
    same λ. In distributed training the queue takes the losses of all processes together, so every process has the same λ.

    It fits every mmseg head as ``loss_decode``, with masks on disk as pseudo-labels; ``CARBHead`` adds the image's classes and the local
    view.

    Args:
        warmup_iters: Training iterations of plain cross entropy; one forward pass counts as one.
        balance: λ as a constant >= 0; None adapts it.
        coeff: For an adaptive λ: ratio of the two terms after the balance.
        queue_size: For an adaptive λ: steps that are averaged.
        balance_limit: For an adaptive λ: its largest value.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; see :class:`mmstreet.losses.modules.BatchLoss`.

    Attributes:
        log_vars: Of the last forward pass: ``consistent_ce`` and ``inconsistent_ce`` (mean loss of the global view's regions),
            ``consistent_area`` and ``inconsistent_area`` (shares of the valid pixels, in per cent), and ``balance`` (λ; 1 in warm-up).

    Raises:
        ValueError: If a setting is out of range.

    Example:
        >>> loss = CARBLoss(warmup_iters=0, balance=0.03)
        >>> loss(torch.zeros(1, 6, 4, 4), torch.full((1, 4, 4), 255))  # nothing but ignored pixels
        tensor(0.)
    """

    def __init__(
        self,
        *,
        warmup_iters: int = 16000,
        balance: float | None = None,
        coeff: float = 1.0,
        queue_size: int = 5,
        balance_limit: float = 10.0,
        loss_weight: float = 1.0,
        loss_name: str = "loss_carb",
    ) -> None:
        super().__init__(loss_weight=loss_weight, loss_name=loss_name)
        for name, value, least in (("warmup_iters", warmup_iters, 0), ("queue_size", queue_size, 1), ("coeff", coeff, 0)):
            if value < least:
                raise ValueError(f"CARBLoss expects {name} >= {least}, got {value}")
        if balance is not None and not balance >= 0:
            raise ValueError(f"CARBLoss expects a balance >= 0, or None to adapt it, got {balance}")
        self.warmup_iters = warmup_iters
        self.balance = balance
        self.coeff = coeff
        self.balance_limit = balance_limit
        self.log_vars: dict[str, Tensor] = {}
        self.register_buffer("iterations", torch.zeros((), dtype=torch.int64))
        self.register_buffer("queue", torch.zeros(2, queue_size))
        self.register_buffer("queue_length", torch.zeros((), dtype=torch.int64))

    def compute(
        self,
        logits: Tensor,
        labels: Tensor,
        *,
        pixel_weight: Tensor | None,
        ignore_index: int,
        present: Tensor | None = None,
        local_labels: Tensor | None = None,
        local_offset_yx: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Call :func:`mmstreet.losses.slabs.carb_loss` with the λ of this step.

        Args:
            logits: Raw scores of the whole view, float ``[B, C, H, W]``.
            labels: Its pseudo-labels, integer ``[B, H, W]``.
            pixel_weight: Refused: a region's mean has no weight per pixel.
            ignore_index: Label of the pixels that give neither loss nor gradient.
            present: Which classes each image shows, bool ``[B, C]``; ``None`` allows every class.
            local_labels: Pseudo-labels of a patch of the view, integer ``[B, h, w]``.
            local_offset_yx: Upper left corner of the patch, px.

        Returns:
            Scalar.

        Raises:
            ValueError: If shapes or label ids do not fit, or weights per pixel are given.
        """
        if pixel_weight is not None:
            raise ValueError("CARBLoss balances regions and takes no weight per pixel; leave the sampler out")
        return carb_loss(
            logits,
            labels,
            factor=self._next_factor,
            present=present,
            local_labels=local_labels,
            local_offset_yx=local_offset_yx,
            ignore_index=ignore_index,
        )

    def factor(self) -> Tensor:
        """Return the present λ, a scalar."""
        if self.balance is not None:
            return torch.full_like(self.queue[0, 0], self.balance)
        return balance_factor(self.queue, self.queue_length, coeff=self.coeff, limit=self.balance_limit)

    def _next_factor(self, sums: Tensor, pixels: Tensor) -> Tensor:
        """Count the step, log it, and return its λ, nan in the warm-up; ``sums`` and ``pixels`` are those of the whole view's regions."""
        if self.training:
            self.iterations += 1
        warm_up = self.iterations <= self.warmup_iters
        if self.training:
            self._remember(sums, pixels, ~warm_up)
        factor = self.factor().to(sums.dtype)
        self._log(sums, pixels, torch.where(warm_up, 1, factor))
        return torch.where(warm_up, torch.nan, factor)

    def _remember(self, sums: Tensor, pixels: Tensor, counts: Tensor | bool = True) -> None:
        """Push the mean losses ``[2]`` of the whole view's regions over all processes, if the step counts and no region is empty."""
        shared = torch.cat([sums.double(), pixels.double()])  # counts beyond 2^24 must stay exact
        all_reduce(shared)
        sums, pixels = shared[:2], shared[2:]
        pushed = torch.cat([self.queue[:, 1:], region_means(sums, pixels)[:, None].to(self.queue.dtype)], 1)
        push = (pixels > 0).all() & counts
        self.queue.copy_(torch.where(push, pushed, self.queue))
        self.queue_length.copy_((self.queue_length + push).clamp_max(self.queue.shape[1]))

    def _log(self, sums: Tensor, pixels: Tensor, factor: Tensor) -> None:
        losses, shares = region_means(sums, pixels), 100 * pixels / pixels.sum().clamp_min(1)
        names = ("consistent_ce", "inconsistent_ce", "consistent_area", "inconsistent_area", "balance")
        self.log_vars = dict(zip(names, [*losses, *shares, factor], strict=True))

    def extra_repr(self) -> str:
        """Show the settings."""
        balance = f"balance={self.balance}" if self.balance is not None else f"coeff={self.coeff}, queue_size={self.queue.shape[1]}"
        return f"warmup_iters={self.warmup_iters}, {balance}, loss_weight={self.loss_weight}"
