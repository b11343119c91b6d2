"""A CLIP small enough for a CPU, with random weights, as a folder that transformers loads."""

from __future__ import annotations

import json
import string
from pathlib import Path

import torch

SIGNS = string.ascii_lowercase + string.digits + ".,-"


def save_tiny_clip(
    folder: Path, *, seed: int = 0, patch_size: int = 16, width: int = 16, hidden: int = 32, layers: int = 3, image_size: int = 64
) -> Path:
    """Write random encoders and a tokenizer of single letters into a folder and return it.

    Args:
        folder: The folder; it is made.
        seed: Of the weights.
        patch_size: Side of the image encoder's patches, px.
        width: Entries of an embedding.
        hidden: Width of the layers.
        layers: Layers of each encoder.
        image_size: Side of the images that the position embeddings are made for, px.
    """
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    torch.manual_seed(seed)
    small = dict(hidden_size=hidden, intermediate_size=2 * hidden, num_hidden_layers=layers, num_attention_heads=2, projection_dim=width)
    tokens = [*SIGNS, *(f"{sign}</w>" for sign in SIGNS), "<|startoftext|>", "<|endoftext|>"]
    ends = dict(bos_token_id=len(tokens) - 2, eos_token_id=len(tokens) - 1, pad_token_id=len(tokens) - 1)
    config = CLIPConfig(
        text_config=dict(small, vocab_size=len(tokens), max_position_embeddings=77, **ends),
        vision_config=dict(small, image_size=image_size, patch_size=patch_size),
        projection_dim=width,
    )
    folder.mkdir(parents=True, exist_ok=True)
    CLIPModel(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    CLIPTokenizer.from_pretrained(folder).save_pretrained(folder)
    return folder
