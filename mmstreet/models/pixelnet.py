"""PixelNet's head: a multi-layer perceptron on hypercolumns, trained on sampled pixels and run on all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmstreet.files.label_ids import check_label_ids
from mmstreet.models.decode_losses import decode_losses
from mmstreet.models.device_sampling import sample_class_balanced_batch, sample_hard_batch, sample_uniform_batch
from mmstreet.models.hypercolumn import dense_logits, sample_class_balanced, sample_hard, sample_levels, sample_uniform
from mmstreet.readback import Watch, check_later, on_host
from mmstreet.registry import MODELS

SAMPLING = ("uniform", "class_balanced", "hard")


@MODELS.register_module()
class PixelNetHead(BaseDecodeHead):
    """Classify pixels from their hypercolumns (Bansal et al., *PixelNet*, 2017).

    Training reads ``num_pixels`` pixels per image and pays for those only: norm, perceptron and loss see
    ``[B * num_pixels]`` pixels as one batch. Every loss of mmseg's interface fits, for it is handed logits
    ``[1, num_classes, M, 1]`` and labels ``[1, M, 1]`` that hold no ignored pixel. Dense scores never build the
    hypercolumn, see :func:`mmstreet.models.hypercolumn.dense_logits`; they are those of evaluation mode (running
    statistics, no dropout) in training mode too.

    Works behind any backbone that returns several levels. Pixels are sampled with torch's global generator, so a run
    with a fixed random state repeats.

    Args:
        in_channels: Channels of each level that is read.
        in_index: Which levels of the backbone are read; as long as ``in_channels``.
        num_classes: Number of classes.
        widths: Hidden widths of the perceptron; the paper has ``(4096, 4096)``, ``()`` is a linear classifier.
        dropout_ratio: Dropout after each hidden layer.
        level_norm: ``'bn'``, a batch norm per channel of the hypercolumn, for the levels differ strongly in scale; or
            ``'none'`` as in the paper.
        num_pixels: Pixels per image in training; an image with fewer labelled pixels gives some of them repeatedly.
        sampling: ``'uniform'``, ``'class_balanced'`` or ``'hard'`` (by cross entropy).
        hard_oversample: For ``'hard'``: candidates per pixel sampled.
        hard_share: For ``'hard'``: part of the sample chosen by loss.
        tile_size: Side in pixels of the tiles of dense inference; ``None`` fits it to the widths.
        loss_decode: One loss or several, as in every mmseg head; ``None`` is cross entropy.
        ignore_index: Label of pixels that are never sampled.
        align_corners: Only false; pixels are read at half-pixel centres.
        init_cfg: How weights start. ``None``: Kaiming's initialisation for the hidden layers, ``N(0, 0.01)`` for the
            last. The paper samples all from ``N(0, 0.001)``:
            ``dict(type='Normal', layer=['Linear', 'Conv2d'], std=0.001)``.

    Raises:
        ValueError: If a setting is out of range; in use, if the backbone lacks a level or gives another number of
            channels, or a label is neither a class nor ``ignore_index``.
    """

    def __init__(
        self,
        in_channels: Sequence[int] = (64, 128, 256, 512, 512),
        *,
        in_index: Sequence[int] = (0, 1, 2, 3, 4),
        num_classes: int,
        widths: Sequence[int] = (1024, 1024),
        dropout_ratio: float = 0.5,
        level_norm: str = "bn",
        num_pixels: int = 2000,
        sampling: str = "uniform",
        hard_oversample: int = 3,
        hard_share: float = 0.75,
        tile_size: int | None = None,
        loss_decode: dict | Sequence[dict] | None = None,
        ignore_index: int = 255,
        align_corners: bool = False,
        init_cfg: dict | list | None = None,
    ):
        _check_settings(
            in_channels, in_index, widths, level_norm, num_pixels, sampling, hard_oversample, hard_share, tile_size, align_corners
        )
        sizes = [sum(in_channels), *widths]
        super().__init__(
            list(in_channels),
            sizes[-1],
            num_classes=num_classes,
            dropout_ratio=dropout_ratio,
            in_index=list(in_index),
            input_transform="multiple_select",
            loss_decode=loss_decode or {"type": "mmseg.CrossEntropyLoss", "avg_non_ignore": True},
            ignore_index=ignore_index,
            init_cfg=init_cfg
            or [{"type": "Kaiming", "layer": "Linear"}, {"type": "Normal", "std": 0.01, "override": {"name": "conv_seg"}}],
        )
        self.watch = Watch()
        self.num_pixels = num_pixels
        self.sampling = sampling
        self.hard_oversample = hard_oversample
        self.hard_share = hard_share
        self.tile_size = tile_size
        self.level_norm = nn.BatchNorm1d(sizes[0]) if level_norm == "bn" else None
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        # The parent's Dropout2d would drop a channel of all pixels at once.
        self.dropout = nn.Dropout(dropout_ratio)

    def loss(self, inputs: Sequence[Tensor], batch_data_samples: list[SegDataSample], train_cfg: dict) -> dict[str, Tensor]:
        """Compute the losses on sampled pixels.

        Args:
            inputs: The backbone's levels, float ``[B, C_l, H_l, W_l]`` each.
            batch_data_samples: Samples whose ``gt_sem_seg`` is int64 ``[1, H, W]``.
            train_cfg: Not used; mmseg passes it.

        Returns:
            The losses by name and ``acc_seg`` over the sampled pixels. Images without a labelled pixel are left out;
            where none has any, every value is 0, the losses attached to the graph. On an accelerator, where asking for
            them would wait, such images give ignored pixels instead, and a wrong label raises in the next step.
        """
        feats = self._transform_inputs(inputs)
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)  # [B, H, W]
        rules = dict(num_classes=self.num_classes, ignore_index=self.ignore_index)
        stray = (labels != self.ignore_index) & ((labels < 0) | (labels >= self.num_classes))
        with self.watch.step():
            check_later(stray.any(), lambda given=labels: check_label_ids(given, **rules))
        size_hw = labels.shape[1:]
        if on_host(labels):
            labelled = (labels != self.ignore_index).flatten(1).any(dim=1)
            if not labelled.any():
                return self._no_loss(feats)
            if not labelled.all():
                feats, labels = [feat[labelled] for feat in feats], labels[labelled]
            with torch.no_grad():
                pixels = torch.stack([self._sample([feat[i : i + 1] for feat in feats], label) for i, label in enumerate(labels)])
        else:
            labels = torch.where(stray, self.ignore_index, labels)
            with torch.no_grad():
                pixels = self._sample_batch(feats, labels)
        logits = self.classify(sample_levels(feats, pixels, size_hw).flatten(0, 1))
        chosen = labels.flatten(1).gather(1, pixels).view(1, -1, 1)
        return self.loss_by_feat(logits, [SegDataSample(gt_sem_seg=PixelData(data=chosen))])

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Compute the losses of sampled pixels; see :func:`~mmstreet.models.decode_losses.decode_losses`."""
        return decode_losses(self, seg_logits, batch_data_samples)

    def classify(self, columns: Tensor) -> Tensor:
        """Compute logits ``[1, num_classes, M, 1]`` of hypercolumns ``[M, sum of in_channels]``, in the present mode."""
        hidden = columns if self.level_norm is None else self.level_norm(columns)
        for layer in self.hidden:
            hidden = self.dropout(F.relu(layer(hidden)))
        return self.conv_seg(hidden.t()[None, :, :, None])

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Compute logits of evaluation mode at the resolution of the finest level, float ``[B, num_classes, H, W]``."""
        feats = self._transform_inputs(inputs)
        finest = max((feat.shape[2:] for feat in feats), key=lambda size: size[0] * size[1])
        return dense_logits(feats, self._layers(), tuple(finest), tile_size=self.tile_size)

    def predict(self, inputs: Sequence[Tensor], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Compute logits of evaluation mode at every pixel of the network's input, float ``[B, num_classes, H, W]``."""
        # Its size is where the parent's predict_by_feat looks for it; that one would interpolate scores instead of features.
        meta = batch_img_metas[0]
        size = meta["img_shape"] if isinstance(meta["img_shape"], torch.Size) else meta.get("pad_shape", meta["img_shape"])
        return dense_logits(self._transform_inputs(inputs), self._layers(), tuple(size[:2]), tile_size=self.tile_size)

    def _layers(self) -> list[tuple[Tensor, Tensor]]:
        """Weight ``[out, in]`` and bias of each layer, the norm's running statistics folded into the first."""
        layers = [(layer.weight, layer.bias) for layer in self.hidden] + [(self.conv_seg.weight.flatten(1), self.conv_seg.bias)]
        if self.level_norm is not None:
            (weight, bias), norm = layers[0], self.level_norm
            scale = norm.weight / (norm.running_var + norm.eps).sqrt()
            layers[0] = (weight * scale, bias + weight @ (norm.bias - norm.running_mean * scale))
        return layers

    def _sample(self, feats: list[Tensor], labels: Tensor) -> Tensor:
        """Draw flat pixel indices ``[num_pixels]`` in one image, from maps ``[1, C_l, H_l, W_l]`` and labels ``[H, W]``."""
        if self.sampling == "uniform":
            return sample_uniform(labels, self.num_pixels, ignore_index=self.ignore_index)
        if self.sampling == "class_balanced":
            return sample_class_balanced(labels, self.num_pixels, ignore_index=self.ignore_index)

        return sample_hard(
            labels,
            self.num_pixels,
            lambda pixels: self._score(feats, labels[None], pixels[None])[0],
            oversample=self.hard_oversample,
            share=self.hard_share,
            ignore_index=self.ignore_index,
        )

    def _sample_batch(self, feats: list[Tensor], labels: Tensor) -> Tensor:
        """Draw flat pixel indices ``[B, num_pixels]`` without a wait, from maps ``[B, C_l, H_l, W_l]`` and labels ``[B, H, W]``."""
        flat, rules = labels.flatten(1), dict(ignore_index=self.ignore_index)
        if self.sampling == "uniform":
            return sample_uniform_batch(flat, self.num_pixels, **rules)
        if self.sampling == "class_balanced":
            return sample_class_balanced_batch(flat, self.num_pixels, **rules)
        rules |= dict(oversample=self.hard_oversample, share=self.hard_share)
        return sample_hard_batch(flat, self.num_pixels, lambda pixels: self._score(feats, labels, pixels), **rules)

    def _score(self, feats: list[Tensor], labels: Tensor, pixels: Tensor) -> Tensor:
        """Compute the cross entropy in evaluation mode of pixels ``[B, K]``; 0 at ignored ones."""
        scores = sample_levels(feats, pixels, labels.shape[1:])
        for i, (weight, bias) in enumerate(self._layers()):
            scores = F.linear(F.relu(scores) if i else scores, weight, bias)
        truth = labels.flatten(1).gather(1, pixels)
        return F.cross_entropy(scores.float().movedim(-1, 1), truth, ignore_index=self.ignore_index, reduction="none")

    def _no_loss(self, feats: list[Tensor]) -> dict[str, Tensor]:
        """Zero for each loss, attached to every parameter so that distributed training does not wait for a gradient."""
        losses = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        touched = [*self.parameters(), *(feat[:1, :1, :1, :1] for feat in feats)]
        zero = sum(0 * value.sum() for value in touched)
        return {loss.loss_name: zero for loss in losses} | {"acc_seg": zero.detach().reshape(1)}

    def _transform_inputs(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Pick the levels that are read, and check that they are there and as wide as promised."""
        missing = [i for i in self.in_index if not -len(inputs) <= i < len(inputs)]
        if missing:
            raise ValueError(
                f"in_index asks for level {missing[0]}, but the backbone gives {len(inputs)} levels; set in_index or its out_indices"
            )
        feats = super()._transform_inputs(inputs)
        channels = [feat.shape[1] for feat in feats]
        if channels != self.in_channels:
            raise ValueError(
                f"levels {self.in_index} of the backbone have {channels} channels, in_channels says {self.in_channels}; set it to that"
            )
        return feats


def _check_settings(in_channels, in_index, widths, level_norm, num_pixels, sampling, hard_oversample, hard_share, tile_size, align_corners):
    expected = [
        (
            len(in_channels) == len(in_index) > 0,
            f"as many in_channels as in_index, at least one, got {list(in_channels)} and {list(in_index)}",
        ),
        (all(width > 0 for width in widths), f"positive widths, got {list(widths)}"),
        (level_norm in ("bn", "none"), f"level_norm 'bn' or 'none', got '{level_norm}'"),
        (num_pixels >= 2, f"num_pixels of at least 2, for a batch norm needs two, got {num_pixels}"),
        (sampling in SAMPLING, f"sampling one of {', '.join(SAMPLING)}, got '{sampling}'"),
        (hard_oversample >= 1, f"hard_oversample of at least 1, got {hard_oversample}"),
        (0 <= hard_share <= 1, f"hard_share in [0, 1], got {hard_share}"),
        (tile_size is None or tile_size > 0, f"a positive tile_size or None, got {tile_size}"),
        (not align_corners, "align_corners false, for pixels are read at half-pixel centres; leave the setting out"),
    ]
    for holds, sentence in expected:
        if not holds:
            raise ValueError(f"PixelNetHead expects {sentence}")
