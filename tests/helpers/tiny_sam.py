"""Models of the SAM family and of Grounding DINO with random weights and a few thousand parameters, saved as published ones are."""

from __future__ import annotations

from pathlib import Path

import torch

SIDE = 64
_PROMPTS = dict(hidden_size=16, image_size=SIDE, patch_size=8, mask_input_channels=8)
_DECODER = dict(hidden_size=16, mlp_dim=32, num_attention_heads=2, iou_head_hidden_dim=16)
_VISION = dict(
    hidden_size=32,
    output_channels=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    image_size=SIDE,
    patch_size=8,
    window_size=4,
    global_attn_indexes=[1],
    num_pos_feats=8,
    mlp_dim=64,
    initializer_range=0.3,
)


def save_tiny(family: str, folder: Path) -> Path:
    """Save a tiny model of ``'sam'``, ``'sam_hq'``, ``'sam2'`` or ``'grounding-dino'``."""
    torch.manual_seed(0)
    model = {"sam": _sam, "sam_hq": _sam_hq, "sam2": _sam2, "grounding-dino": _grounding_dino}[family]()
    with torch.no_grad():  # initial weights are so small that masks would hardly depend on the prompt
        for name, value in model.named_parameters():
            if "mask_decoder" in name or "prompt_encoder" in name:
                value.add_(torch.randn_like(value) * 0.2)
            if name.endswith("iou_prediction_head.proj_out.bias"):
                value.fill_(0.5)  # predicted IoU within 0 and 1
    model.save_pretrained(folder)
    if family == "grounding-dino":
        _save_tokenizer(folder)
    return folder


def _sam() -> torch.nn.Module:
    from transformers import SamConfig, SamModel

    return SamModel(SamConfig(vision_config=_VISION, prompt_encoder_config=_PROMPTS, mask_decoder_config=_DECODER))


def _sam_hq() -> torch.nn.Module:
    from transformers import SamHQConfig, SamHQModel

    return SamHQModel(SamHQConfig(vision_config=_VISION, prompt_encoder_config=_PROMPTS, mask_decoder_config=dict(_DECODER, vit_dim=32)))


def _sam2() -> torch.nn.Module:
    from transformers import Sam2Config, Sam2Model

    backbone = dict(
        model_type="sam2_hiera_det_model",
        hidden_size=12,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1],
        embed_dim_per_stage=[12, 24, 48, 96],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 4, 2],
        global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )
    vision = dict(
        backbone_config=backbone,
        backbone_channel_list=[96, 48, 24, 12],
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
        fpn_hidden_size=32,
    )
    prompts = dict(hidden_size=32, image_size=SIDE, patch_size=16)
    return Sam2Model(Sam2Config(vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=dict(hidden_size=32)))


def _grounding_dino() -> torch.nn.Module:
    from transformers import BertConfig, GroundingDinoConfig, GroundingDinoForObjectDetection, SwinConfig

    config = GroundingDinoConfig(
        backbone_config=SwinConfig(
            image_size=32, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4, out_indices=[2, 3, 4]
        ),
        text_config=BertConfig(vocab_size=1100, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32),
        d_model=32,
        encoder_layers=1,
        encoder_ffn_dim=32,
        encoder_attention_heads=2,
        decoder_layers=2,
        decoder_ffn_dim=32,
        decoder_attention_heads=2,
        num_queries=20,
        max_text_len=24,
        disable_custom_kernels=True,
    )
    return GroundingDinoForObjectDetection(config)


def _save_tokenizer(folder: Path) -> None:
    """A vocabulary of a few words, with BERT's ids for the marks that split phrases."""
    words = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]", 1012: ".", 1029: "?"}
    words |= dict(zip(range(1030, 1040), ("car", "person", "traffic", "light", "pole", "road", "sky", "s", "##s", "building")))
    lines = [words.get(i, f"[unused{i}]") for i in range(1100)]
    (folder / "vocab.txt").write_text("\n".join(lines) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": true}')
