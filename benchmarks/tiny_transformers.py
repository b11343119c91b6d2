"""Tiny random models of transformers' segmentation families, saved as folders like those that are published."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import transformers as t

from mmstreet.labels import get_table

CITYSCAPES = get_table("cityscapes19").names
SIDE = 64
"""Height and width that every family takes; EoMT and BEiT take no others."""

_SWIN = dict(image_size=SIDE, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4)
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_UPERNET = dict(hidden_size=16, pool_scales=[1, 2, 3, 6], auxiliary_in_channels=32, auxiliary_channels=8)
_QUERIES = dict(num_attention_heads=2, num_queries=7)
_VIT = dict(image_size=SIDE, patch_size=16, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32)
_DETR = dict(d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, num_queries=7)


def _configs() -> dict[str, Callable[[], t.PreTrainedConfig]]:
    return {
        "segformer": lambda: t.SegformerConfig(
            depths=[1, 1, 1, 1], hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 1, 2, 2], decoder_hidden_size=16
        ),
        "upernet_swin": lambda: t.UperNetConfig(backbone_config=t.SwinConfig(**_SWIN, out_features=_STAGES), **_UPERNET),
        "upernet_convnext": lambda: t.UperNetConfig(
            backbone_config=t.ConvNextConfig(hidden_sizes=[8, 16, 32, 32], depths=[1, 1, 1, 1], out_features=_STAGES), **_UPERNET
        ),
        "dpt": lambda: t.DPTConfig(
            **_VIT, backbone_out_indices=[0, 1, 2, 3], neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=16, is_hybrid=False
        ),
        "beit": lambda: t.BeitConfig(**_VIT, out_indices=[1, 2, 3, 4], pool_scales=[1, 2, 3, 6], use_relative_position_bias=True),
        "mobilevit": lambda: t.MobileViTConfig(
            image_size=SIDE, hidden_sizes=[16, 16, 24], neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32], aspp_out_channels=16
        ),
        "data2vec": lambda: t.Data2VecVisionConfig(
            **_VIT, out_indices=[1, 2, 3, 4], pool_scales=[1, 2, 3, 6], use_relative_position_bias=True
        ),
        "mobilevitv2": lambda: t.MobileViTV2Config(
            image_size=SIDE, width_multiplier=0.25, base_attn_unit_dims=[32, 32, 32], aspp_out_channels=16
        ),
        "mobilenet_v2": lambda: t.MobileNetV2Config(image_size=SIDE, depth_multiplier=0.25),
        "mask2former": lambda: t.Mask2FormerConfig(
            backbone_config=t.SwinConfig(**_SWIN, out_features=_STAGES),
            **_QUERIES, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32, dim_feedforward=32,
            encoder_layers=1, decoder_layers=2, train_num_points=64,
        ),
        "maskformer": lambda: t.MaskFormerConfig(
            backbone_config=t.SwinConfig(**_SWIN, out_features=_STAGES), decoder_config=t.DetrConfig(**_DETR),
            fpn_feature_size=32, mask_feature_size=32,
        ),
        "oneformer": lambda: t.OneFormerConfig(
            backbone_config=t.SwinConfig(**_SWIN, out_features=_STAGES),
            **_QUERIES, conv_dim=32, mask_dim=32, hidden_dim=32, encoder_feedforward_dim=32, dim_feedforward=32,
            encoder_layers=1, decoder_layers=3, query_dec_layers=1, task_seq_len=9, train_num_points=64,
        ),
        "eomt": lambda: t.EomtConfig(**_VIT, num_queries=7, num_blocks=2, num_upscale_blocks=1, num_register_tokens=1, train_num_points=64),
    }  # fmt: skip


FAMILIES = tuple(_configs())
UNIVERSAL = ("mask2former", "maskformer", "oneformer", "eomt")
PROCESSORS = {
    "mobilevit": dict(image_processor_type="MobileViTImageProcessor", do_rescale=True, do_flip_channel_order=True, do_resize=False),
    "beit": dict(image_processor_type="BeitImageProcessor", do_normalize=True, image_mean=[0.5] * 3, image_std=[0.5] * 3),
}
_IMAGENET = dict(do_normalize=True, do_rescale=True, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])


def make_config(family: str, names: Sequence[str] = CITYSCAPES) -> t.PreTrainedConfig:
    """Return the config of a tiny model with classes of these names."""
    config = _configs()[family]()
    config.id2label = dict(enumerate(names))
    config.label2id = {name: i for i, name in enumerate(names)}
    return config


def write_tiny(folder: Path, family: str, names: Sequence[str] = CITYSCAPES, *, processor: dict | None = None) -> Path:
    """Save a tiny random model with ``config.json``, ``model.safetensors`` and ``preprocessor_config.json``."""
    torch.manual_seed(0)
    config = make_config(family, names)
    kind = t.AutoModelForUniversalSegmentation if family in UNIVERSAL else t.AutoModelForSemanticSegmentation
    model = kind.from_config(config).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        for value in model.parameters():  # as drawn, logits would be the same for every image
            if value.ndim > 1:
                value.normal_(0, 1.4 * value[0].numel() ** -0.5)
    model.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    look = PROCESSORS.get(family, _IMAGENET) if processor is None else processor
    (folder / "preprocessor_config.json").write_text(json.dumps({"size": size, **look}))
    if family == "oneformer":
        _write_tokenizer(folder)
    return folder


def _write_tokenizer(folder: Path) -> None:
    words = ["<|startoftext|>", "<|endoftext|>", "the</w>", "task</w>", "is</w>", "semantic</w>"]
    letters = sorted({letter for word in ("the", "task", "is", "semantic") for letter in word})
    vocab = {word: i for i, word in enumerate([*letters, *(f"{letter}</w>" for letter in letters), *words])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer"}))
