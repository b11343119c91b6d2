"""CLIP as a teacher: dense image features by the value path, and their similarity to text embeddings.

Source: Zhou, Loy, Dai, *Extract Free Dense Labels from CLIP* (MaskCLIP), ECCV 2022, in the form that CARB uses: in the last layer every
token attends to itself alone, the residual connection and the feed-forward part stay.
"""

from __future__ import annotations

import functools
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmstreet.deps import require
from mmstreet.files.hub import load_local_first
from mmstreet.labels import get_table
from mmstreet.models.pseudo_mask import enlarge, pseudo_labels, sample_patch
from mmstreet.models.text_embeddings import load_text_embeddings
from mmstreet.registry import MODELS

CLIP_MEAN = (122.7709383, 116.7460125, 104.09373615)
"""Mean of CLIP's training images, RGB on the scale 0…255."""
CLIP_STD = (68.5005327, 66.6321579, 70.32316305)
"""Their standard deviation."""


_FILES = {
    "CLIPTokenizer": ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"),
    "CLIPTextModelWithProjection": ("config.json", "model.safetensors"),
    "CLIPVisionModelWithProjection": ("config.json", "model.safetensors"),
}


def load_clip(kind: str, model: str) -> nn.Module:
    """Load a part of CLIP from a local folder, the hub's cache or the hub.

    Args:
        kind: Class of ``transformers``: ``'CLIPVisionModelWithProjection'``, ``'CLIPTextModelWithProjection'`` or ``'CLIPTokenizer'``.
        model: Folder, or name on the hub such as ``openai/clip-vit-base-patch16``.

    Raises:
        ImportError: If ``transformers`` is not installed.
        OSError: If the model is neither in the folder, nor in the cache, nor can be downloaded, or lacks weights or the words of its
            tokenizer; one sentence.
    """
    transformers = require("transformers", extra="clip")
    log = transformers.utils.logging
    verbosity = log.get_verbosity()
    log.set_verbosity_error()  # the other half of CLIP is reported as unexpected otherwise
    try:
        if kind == "CLIPTokenizer":
            return load_local_first(lambda *at, **how: _read_tokenizer(transformers, *at, **how), model, files=_FILES[kind])
        read = functools.partial(getattr(transformers, kind).from_pretrained, output_loading_info=True)
        part, info = load_local_first(read, model, files=_FILES[kind])
    finally:
        log.set_verbosity(verbosity)
    missing = sorted(info["missing_keys"])
    if missing:
        raise OSError(f"the weights of '{model}' lack {len(missing)} tensors of {kind}, first '{missing[0]}'; take a whole CLIP")
    return part


def _read_tokenizer(transformers: ModuleType, model: str, **how: bool) -> object:
    tokenizer = transformers.CLIPTokenizer.from_pretrained(model, **how)
    if tokenizer(["oak"]).input_ids == tokenizer(["sky"]).input_ids:  # made without its files, it knows no word
        raise FileNotFoundError(f"'{model}' has no files of a tokenizer")
    return tokenizer


def dense_features(vision: nn.Module, pixels: Tensor) -> Tensor:
    """Compute one feature per patch by the value path.

    Equal to running the last layer with an attention in which every token sees itself alone.

    Args:
        vision: ``CLIPVisionModelWithProjection``.
        pixels: Normalised RGB, float ``[B, 3, H, W]``; sides are multiples of the patch's.

    Returns:
        Unit vectors, float ``[B, D, H / patch, W / patch]``.

    Raises:
        ValueError: If a side is no multiple of the patch's: the encoder would drop the rest without a word.
    """
    patch = vision.config.patch_size
    height, width = pixels.shape[2:]
    if height % patch or width % patch:
        raise ValueError(f"CLIP needs sides that are multiples of its patch, {patch} px, got {height}x{width}; resize the image first")
    body = vision.vision_model
    hidden = body.pre_layrnorm(body.embeddings(pixels, interpolate_pos_encoding=True))
    *layers, last = body.encoder.layers
    for layer in layers:
        hidden = layer(hidden, attention_mask=None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    attention = last.self_attn
    hidden = attention.out_proj(attention.v_proj(last.layer_norm1(hidden))) + hidden
    hidden = last.mlp(last.layer_norm2(hidden)) + hidden
    features = vision.visual_projection(body.post_layernorm(hidden))[:, 1:]  # without the class token
    return F.normalize(features, dim=-1).transpose(1, 2).unflatten(2, (height // patch, width // patch))


def half_precision(device: torch.device) -> torch.dtype | None:
    """Return the type that autocast sets on a GPU; None, which means float32, without autocast and on a CPU."""
    if device.type == "cpu" or not torch.is_autocast_enabled(device.type):
        return None
    return torch.get_autocast_dtype(device.type)


@MODELS.register_module()
class ClipTeacher(nn.Module):
    """Pseudo-labels by the similarity of CLIP's dense features to text embeddings. It is frozen.

    It computes in float32; under autocast on a GPU its encoder runs in half precision, the similarities in float32.

    Args:
        model: Folder or hub name of a CLIP with a vision transformer.
        text_embeddings: File of text embeddings, by ``mmstreet text-embeddings``.
        table: Class table whose names and order the embeddings must have.

    Raises:
        ImportError: If ``transformers`` is not installed.
        OSError: If the model cannot be had; one sentence.
        FileNotFoundError, ValueError: If the embeddings do not exist or do not fit.
    """

    def __init__(self, *, model: str, text_embeddings: str, table: str):
        super().__init__()
        self.vision = load_clip("CLIPVisionModelWithProjection", model).float()
        embeddings = load_text_embeddings(text_embeddings, classes=get_table(table).names, width=self.vision.config.projection_dim)
        self.register_buffer("text_embeddings", torch.from_numpy(embeddings))
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(3, 1, 1))
        self.register_buffer("std", torch.tensor(CLIP_STD).view(3, 1, 1))
        self.requires_grad_(False).eval()

    @property
    def patch_size(self) -> int:
        """Side of the encoder's patches, px."""
        return self.vision.config.patch_size

    def train(self, mode: bool = True) -> ClipTeacher:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Compute cosine similarities, float32 ``[B, C, ⌈H / patch⌉, ⌈W / patch⌉]``.

        Where a side is no multiple of the patch's, its last patches are filled up with the mean colour, at the right and below.

        Args:
            images: RGB, float ``[B, 3, H, W]`` in 0…255.
        """
        kind, half = images.device.type, half_precision(images.device)
        pixels = (images.float() - self.mean) / self.std
        fill = [-side % self.patch_size for side in images.shape[2:]]
        with torch.autocast(kind, half, enabled=half is not None):
            features = dense_features(self.vision, F.pad(pixels, (0, fill[1], 0, fill[0])))
        with torch.autocast(kind, enabled=False):
            return torch.einsum("bdhw,cd->bchw", features.float(), self.text_embeddings)

    def label(self, images: Tensor, present: Tensor, valid_hw: list[tuple[int, int]] | None = None) -> Tensor:
        """Make the pseudo-labels of whole views, int64 ``[B, H, W]``.

        Args:
            images: RGB, float ``[B, 3, H, W]`` in 0…255.
            present: Which classes each image shows, bool ``[B, C]``.
            valid_hw: Height and width of each image without its padding.
        """
        return pseudo_labels(self(images), present, tuple(images.shape[2:]), valid_hw=valid_hw)

    def label_patch(
        self,
        images: Tensor,
        present: Tensor,
        patch_hw: tuple[int, int],
        patch_scale: tuple[float, float],
        valid_hw: list[tuple[int, int]] | None = None,
    ) -> tuple[Tensor, tuple[int, int]]:
        """Sample one patch for the batch, enlarge it and make its pseudo-labels.

        Args:
            images: RGB, float ``[B, 3, H, W]`` in 0…255.
            present: Which classes each image shows, bool ``[B, C]``.
            patch_hw: Height and width of the patch, px; cut to the images.
            patch_scale: Range from which the factor of enlargement is sampled.
            valid_hw: Height and width of each image without its padding.

        Returns:
            Class ids, int64 ``[B, h, w]``, and the patch's offset ``(y, x)``.
        """
        (y, x), (height, width) = sample_patch(tuple(images.shape[2:]), patch_hw)
        low, high = patch_scale
        factor = low + (high - low) * float(torch.rand(()))
        patch = images[..., y : y + height, x : x + width]
        scores = self(enlarge(patch, factor))
        inside = None if valid_hw is None else [(min(max(h - y, 0), height), min(max(w - x, 0), width)) for h, w in valid_hw]
        return pseudo_labels(scores, present, (height, width), valid_hw=inside), (y, x)
