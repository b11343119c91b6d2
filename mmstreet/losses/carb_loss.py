"""CARB's loss as an OpenMMLab module: the iteration count and the queue of region losses that balance it."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

from mmstreet.losses.functional import check_shapes
from mmstreet.losses.region_balance import balance_factor, predict_present, region_means, region_sums, stack_views
from mmstreet.registry import MODELS


@MODELS.register_module()
class CARBLoss(nn.Module):
    """Consistency-aware region balancing for pseudo-labels; see :func:`mmstreet.losses.region_balance.carb_loss`.

    For the first ``warmup_iters`` training iterations it is the cross entropy averaged over valid pixels. Then pixels on which network and
    pseudo-label agree are weighed against the others by λ: either constant, or the ratio of the two mean losses over the latest steps, so
    that unreliable regions never outweigh reliable ones. In evaluation mode nothing is counted and λ stays as it is.

    The iteration count, the queue and its length are buffers: they move with the model and are saved, so a resumed run goes on with the
    same λ. In distributed training the queue takes the losses of all processes together, so every process has the same λ.

    It fits every mmseg head as ``loss_decode`` (single path: the masks on disk are the pseudo-labels); ``CARBHead`` adds the image's
    classes and the local view.

    Args:
        warmup_iters: Training iterations of plain cross entropy; one forward pass counts as one.
        balance: λ as a constant >= 0; None adapts it.
        coeff: For an adaptive λ: ratio of the two terms after the balance.
        queue_size: For an adaptive λ: steps that are averaged.
        balance_limit: For an adaptive λ: its largest value.
        published: Compute as the published code does, its faults included: scores of absent classes become 0 instead of being out of
            the question, an empty region gives nan (and the queue keeps it), λ has no limit and each process its own.
        loss_weight: Factor of the whole.
        loss_name: Name in the log; mmengine trains on losses whose name contains ``loss`` and only logs the rest.

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
        published: bool = False,
        loss_weight: float = 1.0,
        loss_name: str = "loss_carb",
    ) -> None:
        super().__init__()
        for name, value, least in (("warmup_iters", warmup_iters, 0), ("queue_size", queue_size, 1), ("coeff", coeff, 0)):
            if value < least:
                raise ValueError(f"CARBLoss expects {name} >= {least}, got {value}")
        if balance is not None and not balance >= 0:
            raise ValueError(f"CARBLoss expects a balance >= 0, or None to adapt it, got {balance}")
        self.warmup_iters = warmup_iters
        self.balance = balance
        self.coeff = coeff
        self.balance_limit = balance_limit
        self.published = published
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.log_vars: dict[str, Tensor] = {}
        self.register_buffer("iterations", torch.zeros((), dtype=torch.int64))
        self.register_buffer("queue", torch.zeros(2, queue_size))
        self.register_buffer("queue_length", torch.zeros((), dtype=torch.int64))

    def forward(
        self,
        logits: Tensor,
        labels: Tensor,
        weight: Tensor | None = None,
        ignore_index: int = 255,
        *,
        present: Tensor | None = None,
        local_labels: Tensor | None = None,
        local_offset_yx: tuple[int, int] = (0, 0),
    ) -> Tensor:
        """Compute the loss of one batch, as mmseg's heads call it.

        Args:
            logits: Raw scores of the whole view, float ``[B, C, H, W]``.
            labels: Its pseudo-labels, integer ``[B, H, W]``.
            weight: Refused: a region's mean has no weight per pixel.
            ignore_index: Label of the pixels that give neither loss nor gradient.
            present: Which classes each image shows, bool ``[B, C]``; ``None`` allows every class.
            local_labels: Pseudo-labels of a patch of the view, integer ``[B, h, w]``.
            local_offset_yx: Upper left corner of the patch, px.

        Returns:
            Scalar.

        Raises:
            ValueError: If shapes or label ids do not fit, or weights per pixel are given.
        """
        if weight is not None:
            raise ValueError("CARBLoss balances regions and takes no weight per pixel; leave the sampler out")
        check_shapes(logits, labels)
        views = stack_views(labels, local_labels, local_offset_yx, ignore_index=ignore_index)
        preds = predict_present(logits, present, published=self.published)
        sums, pixels = region_sums(logits, views, preds, ignore_index=ignore_index)
        if self.training:
            self.iterations += 1
        if self.iterations <= self.warmup_iters:
            factor = sums.new_ones(())
            loss = region_means(sums.sum(1), pixels.sum(1), published=self.published).sum()
        else:
            if self.training:
                self._remember(sums[0].detach(), pixels[0])
            factor = self.factor().to(sums.dtype)
            consistent, inconsistent = region_means(sums, pixels, published=self.published).sum(0)
            loss = consistent + factor * inconsistent
        self._log(sums[0].detach(), pixels[0], factor)
        return self.loss_weight * loss

    def factor(self) -> Tensor:
        """Return the present λ, a scalar."""
        if self.balance is not None:
            return self.queue.new_tensor(self.balance)
        if self.published:
            consistent, inconsistent = self.queue.mean(1)
            return self.coeff * consistent / inconsistent
        return balance_factor(self.queue, self.queue_length, coeff=self.coeff, limit=self.balance_limit)

    def _remember(self, sums: Tensor, pixels: Tensor) -> None:
        """Push the mean losses ``[2]`` of the global view's regions; nothing is pushed where a region is empty."""
        if not self.published:
            shared = torch.cat([sums.double(), pixels.double()])  # counts beyond 2^24 must stay exact
            all_reduce(shared)
            sums, pixels = shared[:2], shared[2:]
        means = region_means(sums, pixels, published=self.published).to(self.queue.dtype)
        push = self.queue.new_ones((), dtype=torch.bool) if self.published else (pixels > 0).all()
        pushed = torch.cat([self.queue[:, 1:], means[:, None]], 1)
        self.queue.copy_(torch.where(push, pushed, self.queue))
        self.queue_length.copy_((self.queue_length + push).clamp_max(self.queue.shape[1]))

    def _log(self, sums: Tensor, pixels: Tensor, factor: Tensor) -> None:
        losses, shares = region_means(sums, pixels), 100 * pixels / pixels.sum().clamp_min(1)
        names = ("consistent_ce", "inconsistent_ce", "consistent_area", "inconsistent_area", "balance")
        self.log_vars = dict(zip(names, [*losses, *shares, factor.detach()], strict=True))

    def extra_repr(self) -> str:
        """Show the settings."""
        balance = f"balance={self.balance}" if self.balance is not None else f"coeff={self.coeff}, queue_size={self.queue.shape[1]}"
        return f"warmup_iters={self.warmup_iters}, {balance}, published={self.published}, loss_weight={self.loss_weight}"
