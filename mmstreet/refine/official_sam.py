"""Checkpoints as the authors of SAM and SAM 2 publish them (``sam_vit_b_01ec64.pth``, ``sam2.1_hiera_small.pt``), as transformers' models.

The parts are the same on both sides and only their names differ. Sizes are read from the tensors; what these do not show of SAM 2, windows
and global attention of its four backbones, is in a table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from mmstreet.deps import require

_PATCH = "patch_embed.proj.weight"
_SHARED = (
    (r"^sam_", ""),
    (r"\bpatch_embed\.proj\.", "patch_embed.projection."),
    (r"\.norm(?=\d|_)", ".layer_norm"),
    (r"\bpe_layer\.positional_encoding_gaussian_matrix$", "shared_embedding.positional_embedding"),
    (r"\bpoint_embeddings\.", "point_embed."),
    (r"\bmask_downscaling\.0\.", "mask_embed.conv1."),
    (r"\bmask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"\bmask_downscaling\.3\.", "mask_embed.conv2."),
    (r"\bmask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"\bmask_downscaling\.6\.", "mask_embed.conv3."),
    (r"\boutput_upscaling\.0\.", "upscale_conv1."),
    (r"\boutput_upscaling\.1\.", "upscale_layer_norm."),
    (r"\boutput_upscaling\.3\.", "upscale_conv2."),
    (r"\b(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)\.layers\.0\.", r"\1.proj_in."),
    (r"\b(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)\.layers\.2\.", r"\1.proj_out."),
    (r"\b(iou_prediction_head|pred_obj_score_head|output_hypernetworks_mlps\.\d+)\.layers\.1\.", r"\1.layers.0."),
)
_SAM = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.neck\.0\.", "vision_encoder.neck.conv1."),
    (r"^image_encoder\.neck\.1\.", "vision_encoder.neck.layer_norm1."),
    (r"^image_encoder\.neck\.2\.", "vision_encoder.neck.conv2."),
    (r"^image_encoder\.neck\.3\.", "vision_encoder.neck.layer_norm2."),
    (r"^image_encoder\.", "vision_encoder."),
)
_SAM2 = (
    (r"^image_encoder\.trunk\.", "vision_encoder.backbone."),
    (r"^image_encoder\.neck\.convs\.(\d)\.conv\.", r"vision_encoder.neck.convs.\1."),
    (r"\.mlp\.layers\.0\.", ".mlp.proj_in."),
    (r"\.mlp\.layers\.1\.", ".mlp.proj_out."),
    (r"\.out_proj\.", ".o_proj."),
    (r"^no_mem_embed$", "no_memory_embedding"),
)
_VIDEO_ONLY = re.compile(r"memory_|maskmem_|no_mem_pos_enc|no_obj_|mask_downsample\.|obj_ptr_")
"""Parts of SAM 2 that follow objects through a video."""
HIERA = {
    (96, (1, 2, 7, 2)): {"heads": 1, "windows": [8, 4, 14, 7], "global": [5, 7, 9], "side": 1024},
    (96, (1, 2, 11, 2)): {"heads": 1, "windows": [8, 4, 14, 7], "global": [7, 10, 13], "side": 1024},
    (112, (2, 3, 16, 3)): {"heads": 2, "windows": [8, 4, 14, 7], "global": [12, 16, 20], "side": 1024},
    (144, (2, 6, 36, 4)): {"heads": 2, "windows": [8, 4, 16, 8], "global": [23, 33, 43], "side": 1024},
}
"""Backbones of SAM 2 and 2.1, tiny, small, base plus and large, by width and blocks per stage (``sam2/configs``)."""


def official_type(path: str | Path) -> str:
    """Return the model type of an official checkpoint, ``'sam'`` or ``'sam2'``.

    Raises:
        ValueError: If it is neither.
    """
    return _type_of(_read(path), path)


def load_official(path: str | Path) -> nn.Module:
    """Build transformers' ``SamModel`` or ``Sam2Model`` from an official checkpoint; every tensor is used, but for SAM 2's video memory.

    Args:
        path: File of the SAM or SAM 2 repository, or of a model that was trained further with it.

    Raises:
        ImportError: If transformers is not installed.
        ValueError: If the file is neither, or lacks tensors.
    """
    tensors = _read(path)
    try:
        model, named = _convert(tensors, _type_of(tensors, path), path)
    except (KeyError, IndexError) as error:
        raise ValueError(f"'{path}' lacks tensors of SAM or SAM 2 ({str(error)[:80]}); fetch it again") from error
    own = model.state_dict()
    wrong = sorted({*own, *named} - {name for name in own.keys() & named.keys() if own[name].shape == named[name].shape})
    if wrong:
        raise ValueError(f"'{path}' does not fit {type(model).__name__}: {len(wrong)} tensors, the first is '{wrong[0]}'; fetch it again")
    model.load_state_dict(named)
    return model


def _convert(tensors: Mapping[str, Tensor], kind: str, path: str | Path) -> tuple[nn.Module, dict[str, Tensor]]:
    transformers = require("transformers", extra="sam")
    if kind == "sam":
        model = transformers.SamModel(transformers.SamConfig(**_sam_settings(tensors)))
        named = _rename(tensors, (*_SHARED, *_SAM))
    else:
        model = transformers.Sam2Model(transformers.Sam2Config(**_sam2_settings(tensors, path)))
        named = _rename({name: value for name, value in tensors.items() if not _VIDEO_ONLY.match(name)}, (*_SHARED, *_SAM2))
        named["prompt_encoder.point_embed.weight"] = torch.cat([named.pop(f"prompt_encoder.point_embed.{i}.weight") for i in range(4)])
    named["shared_image_embedding.positional_embedding"] = named["prompt_encoder.shared_embedding.positional_embedding"]
    return model, named


def _read(path: str | Path) -> dict[str, Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged archives and foreign pickles raise errors of many kinds
        raise ValueError(f"'{path}' cannot be read as a checkpoint of SAM or SAM 2; it may be cut off: fetch it again") from error
    content = content.get("model", content) if isinstance(content, Mapping) else {}
    return {name: value for name, value in content.items() if isinstance(value, Tensor)} if isinstance(content, Mapping) else {}


def _type_of(tensors: Mapping[str, Tensor], path: str | Path) -> str:
    if "mask_decoder.hf_token.weight" in tensors:
        raise ValueError(f"'{path}' is SAM-HQ as its authors publish it; give the folder or name of 'syscv-community/sam-hq-vit-base'")
    if f"image_encoder.trunk.{_PATCH}" in tensors:
        return "sam2"
    if f"image_encoder.{_PATCH}" in tensors and "image_encoder.blocks.0.attn.rel_pos_h" in tensors:
        return "sam"
    raise ValueError(
        f"'{path}' is no checkpoint of SAM or SAM 2; give one (sam_vit_b_01ec64.pth, sam2.1_hiera_small.pt …), a folder with "
        "config.json and model.safetensors, or a name on the hub"
    )


def _rename(tensors: Mapping[str, Tensor], rules: tuple[tuple[str, str], ...]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in tensors.items():
        for pattern, new in rules:
            name = re.sub(pattern, new, name)
        renamed[name] = value
    return renamed


def _sam_settings(tensors: Mapping[str, Tensor]) -> dict:
    hidden, patch = (tensors[f"image_encoder.{_PATCH}"].shape[i] for i in (0, -1))
    grid = tensors["image_encoder.pos_embed"].shape[1]
    tables = [tensors[f"image_encoder.blocks.{i}.attn.rel_pos_h"] for i in range(_count(tensors, r"image_encoder\.blocks\.(\d+)\."))]
    reach = [(len(table) + 1) // 2 for table in tables]  # a table of relative positions has 2 n - 1 rows for n places
    vision = {
        "hidden_size": hidden,
        "output_channels": len(tensors["image_encoder.neck.0.weight"]),
        "num_hidden_layers": len(tables),
        "num_attention_heads": hidden // tables[0].shape[1],
        "image_size": grid * patch,
        "patch_size": patch,
        "window_size": min(reach),
        "global_attn_indexes": [i for i, n in enumerate(reach) if n == grid],
        "num_pos_feats": tensors["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"].shape[1],
        "mlp_dim": len(tensors["image_encoder.blocks.0.mlp.lin1.weight"]),
    }
    prompts, decoder = _decoder_settings(tensors, "", mlp="mlp.lin1")
    return {
        "vision_config": vision,
        "prompt_encoder_config": {**prompts, "image_size": grid * patch, "patch_size": patch},
        "mask_decoder_config": decoder,
    }


def _sam2_settings(tensors: Mapping[str, Tensor], path: str | Path) -> dict:
    trunk = "image_encoder.trunk"
    widths = [len(tensors[f"{trunk}.blocks.{i}.attn.proj.weight"]) for i in range(_count(tensors, rf"{trunk}\.blocks\.(\d+)\."))]
    dims = sorted(set(widths))
    blocks = tuple(widths.count(dim) for dim in dims)
    if (widths[0], blocks) not in HIERA:
        raise ValueError(f"'{path}' has a backbone of {blocks} blocks and width {widths[0]}, which is none of SAM 2's: {list(HIERA)}")
    row = HIERA[widths[0], blocks]
    side, prefix = row["side"], "sam_"
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": widths[0],
        "num_attention_heads": row["heads"],
        "image_size": [side, side],
        "blocks_per_stage": list(blocks),
        "embed_dim_per_stage": dims,
        "num_attention_heads_per_stage": [row["heads"] * 2**i for i in range(len(dims))],
        "window_size_per_stage": row["windows"],
        "global_attention_blocks": row["global"],
        "window_positional_embedding_background_size": list(tensors[f"{trunk}.pos_embed"].shape[-2:]),
    }
    vision = {
        "backbone_config": backbone,
        "backbone_channel_list": dims[::-1],
        "backbone_feature_sizes": [[side // n, side // n] for n in (4, 8, 16)],
        "fpn_hidden_size": len(tensors["image_encoder.neck.convs.0.conv.weight"]),
    }
    prompts, decoder = _decoder_settings(tensors, prefix, mlp="mlp.layers.0")
    return {"vision_config": vision, "prompt_encoder_config": {**prompts, "image_size": side}, "mask_decoder_config": decoder}


def _decoder_settings(tensors: Mapping[str, Tensor], prefix: str, *, mlp: str) -> tuple[dict, dict]:
    hidden = tensors[f"{prefix}mask_decoder.iou_token.weight"].shape[1]
    prompts = {"hidden_size": hidden, "mask_input_channels": len(tensors[f"{prefix}prompt_encoder.mask_downscaling.3.weight"])}
    decoder = {
        "hidden_size": hidden,
        "mlp_dim": len(tensors[f"{prefix}mask_decoder.transformer.layers.0.{mlp}.weight"]),
        "iou_head_hidden_dim": len(tensors[f"{prefix}mask_decoder.iou_prediction_head.layers.0.weight"]),
    }
    return prompts, decoder


def _count(tensors: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max((int(found.group(1)) for name in tensors if (found := re.match(pattern, name))), default=-1)
