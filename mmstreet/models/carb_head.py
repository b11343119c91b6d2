"""CARB's head: four dilated convolutions summed, a classifier that is the text embedding of each class, and the balanced loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor, nn
from torch.nn import functional as F

from mmstreet.labels import get_table
from mmstreet.models.decode_losses import decode_losses, pixel_accuracy
from mmstreet.models.text_embeddings import check_text_embeddings, load_text_embeddings
from mmstreet.readback import to_device
from mmstreet.registry import MODELS

_BATCH_NORM = dict(type="BN")


@MODELS.register_module()
class CARBHead(BaseDecodeHead):
    """DeepLabV2's atrous pyramid, its branches summed, scored against fixed text embeddings by a plain dot product.

    Source: Kim, Lee, Choe, Shim, *Weakly Supervised Semantic Segmentation for Driving Scenes*, AAAI 2024. Each branch is a 3×3 convolution
    with its own dilation, batch norm and ReLU. There is no pooled branch, no dropout, no bias, no temperature and no normalisation of the
    features. The embeddings are a buffer: they are saved, and never trained.

    The samples' ``gt_sem_seg`` are pseudo-labels. Where the samples say which classes their image shows (``img_label`` among their meta
    data), the loss reads it; ``CARBSegmentor`` adds the pseudo-labels of a local patch. With ``test_cfg=dict(use_image_labels=True)``
    predictions keep to the classes of ``img_label`` too, to make masks of the training images.

    Args:
        in_channels: Channels of the backbone stage that is read.
        num_classes: Classes to score.
        loss_decode: One loss or several; ``mmstreet.CARBLoss`` gets the classes of the image and the local patch.
        channels: Channels of each branch; with text embeddings, their width.
        dilations: Dilation of each branch.
        text_embeddings: File of text embeddings, read when training starts from scratch (a checkpoint brings its own); None learns a
            1×1 convolution with bias instead.
        table: Class table whose names and order the embeddings must have.
        in_index: Which backbone stage is read.
        norm_cfg: Normalisation layer.
        ignore_index: Label of pixels that give no loss.
        align_corners: How logits are resized to the labels.
        init_cfg: Initialisation of fresh layers; None is mmseg's.

    Raises:
        ValueError: If embeddings are given without a table, or of a table with another number of classes.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        num_classes: int,
        loss_decode: dict | Sequence[dict],
        channels: int = 512,
        dilations: Sequence[int] = (6, 12, 18, 24),
        text_embeddings: str | None = None,
        table: str | None = None,
        in_index: int = -1,
        norm_cfg: dict = _BATCH_NORM,
        ignore_index: int = 255,
        align_corners: bool = False,
        init_cfg: dict | list | None = None,
    ):
        if text_embeddings is not None and table is None:
            raise ValueError("CARBHead needs table= beside text_embeddings=, to check the order of the classes")
        if table is not None and len(get_table(table)) != num_classes:
            raise ValueError(f"CARBHead has num_classes={num_classes}, but table '{table}' has {len(get_table(table))} classes")
        fresh = [dict(type="Normal", std=0.01, override=dict(name="conv_seg"))] if text_embeddings is None else []
        super().__init__(
            in_channels,
            channels,
            num_classes=num_classes,
            dropout_ratio=0,
            in_index=in_index,
            norm_cfg=norm_cfg,
            loss_decode=loss_decode,
            ignore_index=ignore_index,
            align_corners=align_corners,
            init_cfg=fresh if init_cfg is None else init_cfg,
        )
        self.branches = nn.ModuleList(
            ConvModule(in_channels, channels, 3, padding=dilation, dilation=dilation, norm_cfg=norm_cfg) for dilation in dilations
        )
        self.embeddings_file, self.table = text_embeddings, table
        if text_embeddings is not None:
            del self.conv_seg
            self.register_buffer("text_embeddings", torch.zeros(num_classes, channels))
            self._embeddings_checked = False

    def init_weights(self) -> None:
        """Start fresh layers, and read the text embeddings.

        Raises:
            FileNotFoundError: If the file does not exist.
            ValueError: If it is made for other classes or of another width; one sentence.
        """
        super().init_weights()
        if self.embeddings_file is not None:
            embeddings = load_text_embeddings(self.embeddings_file, classes=get_table(self.table).names, width=self.channels)
            self.text_embeddings.copy_(torch.from_numpy(embeddings))

    def forward(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Score every class at every position of the feature map.

        Args:
            inputs: Backbone stages, float ``[B, C_i, h_i, w_i]`` each; the one at ``in_index`` is used.

        Returns:
            Logits, float ``[B, num_classes, h, w]``.
        """
        x = self._transform_inputs(inputs)
        features = sum(branch(x) for branch in self.branches)
        if self.embeddings_file is None:
            return self.conv_seg(features)
        self._check_embeddings()
        return F.conv2d(features, self.text_embeddings[:, :, None, None])

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Compute the loss on pseudo-labels.

        Args:
            seg_logits: Logits, float ``[B, num_classes, h, w]``.
            batch_data_samples: Samples with pseudo-labels ``gt_sem_seg``, int64 ``[1, H, W]``; optionally with the meta data ``img_label``,
                bool ``[num_classes]``, and, from ``CARBSegmentor``, with ``local_sem_seg``, int64 ``[1, ph, pw]``, and its place
                ``local_offset_yx``.

        Returns:
            The loss by its name, what it measured, and ``acc_seg``, the agreement with the pseudo-labels.

        Raises:
            ValueError: If an ``img_label`` has another length than there are classes.
        """
        if isinstance(self.loss_decode, nn.ModuleList) or not hasattr(self.loss_decode, "log_vars"):
            return decode_losses(self, seg_logits, batch_data_samples)
        labels = self._stack_batch_gt(batch_data_samples).squeeze(1)  # [B, H, W]
        logits = F.interpolate(seg_logits, labels.shape[1:], mode="bilinear", align_corners=self.align_corners)
        local = {}
        if all("local_sem_seg" in sample for sample in batch_data_samples):
            local["local_labels"] = torch.cat([sample.local_sem_seg.data for sample in batch_data_samples])
            local["local_offset_yx"] = batch_data_samples[0].metainfo["local_offset_yx"]
        present = stack_image_labels([sample.metainfo for sample in batch_data_samples], self.num_classes, device=logits.device)
        loss = self.loss_decode(logits, labels, ignore_index=self.ignore_index, present=present, **local)
        measured = {self.loss_decode.loss_name: loss, **self.loss_decode.log_vars}
        return {**measured, "acc_seg": pixel_accuracy(logits, labels, ignore_index=self.ignore_index)}

    def predict(self, inputs: tuple[Tensor, ...], batch_img_metas: list[dict], test_cfg: dict) -> Tensor:
        """Compute logits at the size of the network's input, float ``[B, num_classes, H, W]``.

        With ``test_cfg.use_image_labels`` the classes that an image does not show score below all others; finite, for what follows may
        interpolate.

        Raises:
            ValueError: If ``use_image_labels`` is set and an image has no ``img_label``.
        """
        logits = super().predict(inputs, batch_img_metas, test_cfg)
        if not (test_cfg or {}).get("use_image_labels"):
            return logits
        present = stack_image_labels(batch_img_metas, self.num_classes, device=logits.device)
        if present is None:
            raise ValueError("use_image_labels needs img_label in the meta data of every image; take a Weak… data set and meta_keys")
        floor = logits.amin((1, 2, 3), keepdim=True) - 1
        return torch.where(present[:, :, None, None], logits, floor)

    def _check_embeddings(self) -> None:
        """Refuse embeddings that were never read, or that a checkpoint brought and that tell classes not apart."""
        if self._embeddings_checked:
            return
        if not self.text_embeddings.any():
            raise ValueError(
                f"CARBHead has no text embeddings yet; call init_weights(), which reads '{self.embeddings_file}', or load a checkpoint"
            )
        rows = self.text_embeddings.float().cpu().numpy()
        check_text_embeddings(rows, classes=get_table(self.table).names, where="CARBHead")
        self._embeddings_checked = True


def stack_image_labels(metas: Sequence[dict], num_classes: int, *, device: torch.device | str | None = None) -> Tensor | None:
    """Stack the samples' ``img_label``, bool ``[B, num_classes]``; None if a sample has none.

    Raises:
        ValueError: If one has another length.
    """
    vectors = [meta.get("img_label") for meta in metas]
    if any(vector is None for vector in vectors):
        return None
    for vector, meta in zip(vectors, metas):
        if len(vector) != num_classes:
            raise ValueError(
                f"image '{meta.get('img_path', '?')}' has an img_label of {len(vector)} classes, but the head predicts {num_classes}; "
                "use labels and a head of one class table"
            )
    stacked = torch.stack([torch.as_tensor(vector) for vector in vectors]).bool()
    return stacked if device is None else to_device(stacked, device)
