"""A CLIP of a few thousand random weights, saved as a folder that transformers loads, with a tokenizer of single letters."""

from __future__ import annotations

import json
import string
from pathlib import Path

import torch

WIDTH = 16


def save_tiny_clip(folder: Path, *, seed: int = 0, patch_size: int = 16) -> Path:
    """Write both encoders (a projection of ``WIDTH``) and the tokenizer into ``folder`` and return it."""
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    torch.manual_seed(seed)
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=2, projection_dim=WIDTH)
    signs = string.ascii_lowercase + string.digits + ".,-"
    tokens = [*signs, *(f"{sign}</w>" for sign in signs), "<|startoftext|>", "<|endoftext|>"]
    ends = dict(bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1, pad_token_id=len(tokens) - 1)
    config = CLIPConfig(
        text_config=dict(small, vocab_size=len(tokens), max_position_embeddings=77, **ends),
        vision_config=dict(small, image_size=64, patch_size=patch_size),
        projection_dim=WIDTH,
    )
    folder.mkdir(parents=True, exist_ok=True)
    CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder
