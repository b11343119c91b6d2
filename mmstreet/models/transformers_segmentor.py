"""Any segmentation model of the transformers library as a segmentor of MMSegmentation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.config import ConfigDict
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import accuracy
from mmseg.models.utils import resize
from torch import Tensor, nn

from mmstreet.labels import get_table
from mmstreet.models.class_names import match_classes
from mmstreet.models.transformers_hub import class_names, is_universal, read_config, read_processor
from mmstreet.registry import MODELS

_EPS = 1e-4
"""Score that a class has without any query; its logarithm is the lowest logit of a universal model."""
_BELOW = 10.0
"""How far the logit of a class that the model does not know lies below the lowest of the others."""
_CROSS_ENTROPY = dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True)


@MODELS.register_module()
class TransformersSegmentor(EncoderDecoder):
    """A semantic or universal segmentation model of a folder or of the Hugging Face hub, with the classes of a table.

    Colours are normalised as the model's own processor does. Of a universal model (Mask2Former, MaskFormer, OneFormer, EoMT) the logit of
    a class is the logarithm of what transformers' ``post_process_semantic_segmentation`` compares: the queries' mask probabilities,
    weighted with their probabilities of the class.

    Args:
        model: Folder written by ``save_pretrained``, or a name on the hub.
        classes: Names to predict, or the name of a class table; default: the model's own. They are matched by name, see
            :mod:`~mmstreet.models.class_names`.
        head: ``'keep'`` predicts with the published classifier; ``'new'`` draws one for ``classes``, to be trained.
        loss_decode: Loss or losses on logits; default: cross-entropy, and for universal models their own loss on queries.
        pretrained: Whether training starts from the published weights; a checkpoint is loaded over either.
        ignore_index: Label of pixels that give no loss.
        train_cfg: As in mmseg.
        test_cfg: As in mmseg; default: the whole image at once.
        data_preprocessor: Settings of ``SegDataPreProcessor``, such as ``size``, beside those of the model's processor.
        init_cfg: Not used.

    Raises:
        ImportError: If transformers is not installed.
        OSError: If the model cannot be had; one sentence.
        ValueError: If it is no segmentation model, or none of its classes is wanted.
    """

    def __init__(
        self,
        *,
        model: str,
        classes: str | Sequence[str] | None = None,
        head: str = "keep",
        loss_decode: dict | Sequence[dict] | None = None,
        pretrained: bool = True,
        ignore_index: int = 255,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        if head not in ("keep", "new"):
            raise ValueError(f"head must be 'keep' or 'new', not {head!r}")
        config = read_config(model)
        own = class_names(config)
        wanted = get_table(classes).names if isinstance(classes, str) else tuple(classes or own)
        if head == "new":
            config.id2label = dict(enumerate(wanted))
            config.label2id = {name: i for i, name in enumerate(wanted)}
            groups = [[i] for i in range(len(wanted))]
        else:
            groups = [[i] for i in range(len(own))] if wanted == own else match_classes(own, wanted)
        given = {} if data_preprocessor is None else dict(data_preprocessor)
        if not {"mean", "std"} <= given.keys():
            look = read_processor(model)
            given = dict(mean=look["mean"], std=look["std"], bgr_to_rgb=look["rgb"], rgb_to_bgr=False) | given
        given = dict(type="mmstreet.SegDataPreProcessor", pad_val=0, seg_pad_val=ignore_index) | given
        backbone = dict(type="mmstreet.TransformersNetwork", model=model, config=config, pretrained=pretrained)
        settings = dict(groups=groups, universal=is_universal(config), loss_decode=loss_decode, ignore_index=ignore_index)
        super().__init__(
            backbone=backbone,
            decode_head=dict(type="mmstreet.TransformersHead", classes=wanted, **settings),
            train_cfg=train_cfg,
            test_cfg=ConfigDict(test_cfg or {"mode": "whole"}),
            data_preprocessor=given,
        )
        self.uses_own_loss = is_universal(config) and loss_decode is None

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Compute the losses of a batch.

        Raises:
            ValueError: If the network has no output for a class of the table, or several outputs and its own loss.
        """
        head = self.decode_head
        if head.unknown:
            raise ValueError(f"the model has no class for {', '.join(head.unknown)}, so it cannot learn them; train with head='new'")
        if not self.uses_own_loss:
            return super().loss(inputs, data_samples)
        if any(len(group) > 1 for group in head.groups):
            raise ValueError(
                "several classes of the model stand for one of the table, which its own loss cannot learn; train with head='new'"
            )
        labels = head._stack_batch_gt(data_samples).squeeze(1)
        loss, scores = self.backbone.match_queries(inputs, labels, [group[0] for group in head.groups], head.ignore_index)
        logits = head.finish(resize(head.join(scores), size=labels.shape[1:], mode="bilinear", align_corners=False))
        return {"decode.loss_queries": loss, "decode.acc_seg": accuracy(logits, labels, ignore_index=head.ignore_index)}


@MODELS.register_module()
class TransformersHead(BaseDecodeHead):
    """Joins a network's own classes to those of a table; it has no weights.

    Args:
        groups: For each class of the table, the network's classes that stand for it; none: its logit lies below all others.
        classes: Names of the table.
        universal: Whether scores are sums over queries, of which the logarithm is the logit.
        loss_decode: Loss or losses on logits; default: cross-entropy.
        ignore_index: Label of pixels that give no loss.
    """

    def __init__(
        self,
        *,
        groups: Sequence[Sequence[int]],
        classes: Sequence[str],
        universal: bool,
        loss_decode: dict | Sequence[dict] | None = None,
        ignore_index: int = 255,
    ) -> None:
        super().__init__(
            in_channels=1,
            channels=1,
            num_classes=len(groups),
            out_channels=len(groups),
            dropout_ratio=0,
            loss_decode=loss_decode or _CROSS_ENTROPY,
            ignore_index=ignore_index,
            align_corners=False,
            init_cfg=None,
        )
        self.conv_seg = nn.Identity()
        self.groups = [list(group) for group in groups]
        self.universal = universal
        self.unknown = [name for name, group in zip(classes, groups) if not group]

    def init_weights(self) -> None:
        """There are none."""

    def forward(self, inputs: tuple[Tensor]) -> Tensor:
        """Return the table's scores ``[B, C, h, w]`` at the network's own resolution."""
        return self.join(inputs[0])

    def join(self, scores: Tensor) -> Tensor:
        """Join scores of several classes that stand for one: the sum of their probabilities."""
        firsts = [group[0] if group else 0 for group in self.groups]
        joined = scores if firsts == list(range(scores.shape[1])) else scores[:, firsts]
        special = {k: group for k, group in enumerate(self.groups) if len(group) != 1}
        if not special:
            return joined
        maps = list(joined.unbind(1))
        lowest = torch.zeros_like(maps[0]) if self.universal else scores.amin(1) - _BELOW
        for k, group in special.items():
            parts = scores[:, group]
            maps[k] = lowest if not group else parts.sum(1) if self.universal else parts.logsumexp(1)
        return torch.stack(maps, 1)

    def finish(self, scores: Tensor) -> Tensor:
        """Turn scores into logits, after they were resized."""
        return (scores.float() + _EPS).log() if self.universal else scores

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return logits at the size of the input."""
        return self.finish(super().predict_by_feat(seg_logits, batch_img_metas))

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        """Compute the losses on logits at the size of the labels."""
        size = batch_data_samples[0].gt_sem_seg.data.shape[1:]
        logits = self.finish(resize(seg_logits, size=size, mode="bilinear", align_corners=False))
        return super().loss_by_feat(logits, batch_data_samples)
