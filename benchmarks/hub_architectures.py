"""The networks of the hub that configs name, at their published size and with random weights: what a step costs needs no download."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import transformers as t

_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_IMAGENET = dict(do_normalize=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def _segformer_b2() -> t.PreTrainedConfig:
    return t.SegformerConfig(depths=[3, 4, 6, 3], hidden_sizes=[64, 128, 320, 512], decoder_hidden_size=768)


def _upernet_convnext_base() -> t.PreTrainedConfig:
    backbone = t.ConvNextConfig(depths=[3, 3, 27, 3], hidden_sizes=[128, 256, 512, 1024], out_features=_STAGES)
    return t.UperNetConfig(backbone_config=backbone, hidden_size=512, auxiliary_in_channels=512)


def _mask2former_swin_small() -> t.PreTrainedConfig:
    backbone = t.SwinConfig(
        embed_dim=96, depths=[2, 2, 18, 2], num_heads=[3, 6, 12, 24], window_size=7, drop_path_rate=0.3, out_features=_STAGES
    )
    return t.Mask2FormerConfig(backbone_config=backbone, num_queries=100)


def _eomt_large() -> t.PreTrainedConfig:
    return t.EomtConfig(image_size=512, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, num_queries=100)


ARCHITECTURES: dict[str, Callable[[], t.PreTrainedConfig]] = {
    "nvidia/mit-b2": _segformer_b2,
    "openmmlab/upernet-convnext-base": _upernet_convnext_base,
    "facebook/mask2former-swin-small-cityscapes-semantic": _mask2former_swin_small,
    "tue-mps/ade20k_semantic_eomt_large_512": _eomt_large,
}
"""By the name on the hub: SegFormer (Xie et al. 2021), UPerNet on ConvNeXt (Liu et al. 2022), Mask2Former on Swin (Cheng et al. 2022) and
EoMT (Kerssies et al. 2025)."""


def write_architecture(folder: Path, name: str, classes: tuple[str, ...]) -> Path:
    """Write the two files that say what a network is, with these classes, and return the folder.

    Raises:
        KeyError: If the name is none of :data:`ARCHITECTURES`.
    """
    config = ARCHITECTURES[name]()
    config.id2label = dict(enumerate(classes))
    config.label2id = {label: i for i, label in enumerate(classes)}
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(_IMAGENET))
    return folder
