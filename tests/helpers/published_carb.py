"""What CARB's published code computes, faults included, written again from its formulas: the loss over steps and the teacher's masks."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)


class PublishedCarbLoss:
    """Four masked cross entropies; λ from two rings of five that start at zero, without a limit; absent classes have score 0."""

    def __init__(self, *, warmup_iters: int, coeff: float = 1.0, queue_size: int = 5):
        self.step, self.warmup_iters, self.coeff = 0, warmup_iters, coeff
        self.agreeing, self.others = torch.zeros(queue_size), torch.zeros(queue_size)

    def __call__(self, logits: Tensor, labels: Tensor, present: Tensor, local_labels: Tensor, offset_yx: tuple[int, int]) -> Tensor:
        self.step += 1
        (y, x), (height, width) = offset_yx, local_labels.shape[1:]
        local_logits = logits[:, :, y : y + height, x : x + width]
        if self.step <= self.warmup_iters:
            return F.cross_entropy(logits, labels, ignore_index=255) + F.cross_entropy(local_logits, local_labels, ignore_index=255)
        preds = (logits.detach() * present[:, :, None, None]).argmax(1)
        local_preds = preds[:, y : y + height, x : x + width]
        agreeing, others = masked_means(logits, labels, preds)
        local_agreeing, local_others = masked_means(local_logits, local_labels, local_preds)
        place = self.step % len(self.agreeing)
        self.agreeing[place], self.others[place] = agreeing.detach(), others.detach()
        factor = self.coeff * self.agreeing.mean() / self.others.mean()
        return agreeing + factor * others + local_agreeing + factor * local_others


def masked_means(logits: Tensor, labels: Tensor, preds: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross entropy where the labels equal the predictions and where they do not; nan where there is no such pixel."""
    return tuple(
        F.cross_entropy(logits, labels.masked_fill(~region, 255), ignore_index=255) for region in (labels == preds, labels != preds)
    )


def published_encoder(vision: nn.Module) -> nn.Module:
    """A copy of CLIP's image encoder with GELU for QuickGELU and layer norms with eps 1e-6 for 1e-5."""
    vision = copy.deepcopy(vision)
    for module in vision.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
        if hasattr(module, "activation_fn"):
            module.activation_fn = nn.GELU()
    return vision


@torch.no_grad()
def published_scores(vision: nn.Module, embeddings: Tensor, pixels: Tensor) -> Tensor:
    """Similarities ``[B, C, ⌈H/p⌉, ⌈W/p⌉]`` of normalised pixels of any size; zeros fill the last row and column of patches."""
    patch, (height, width) = vision.config.patch_size, pixels.shape[2:]
    rows, columns = -(-height // patch), -(-width // patch)
    whole = pixels.new_zeros(len(pixels), 3, rows * patch, columns * patch)
    whole[:, :, :height, :width] = pixels
    body = vision.vision_model
    hidden = body.pre_layrnorm(body.embeddings(whole, interpolate_pos_encoding=True))
    alone = torch.full((hidden.shape[1],) * 2, -torch.inf).fill_diagonal_(0)[None, None]
    for i, layer in enumerate(body.encoder.layers):
        out = layer(hidden, attention_mask=alone if i == len(body.encoder.layers) - 1 else None)
        hidden = out[0] if isinstance(out, tuple) else out
    features = F.normalize(vision.visual_projection(body.post_layernorm(hidden))[:, 1:], dim=-1)
    return (features @ embeddings.T).transpose(1, 2).unflatten(2, (rows, columns))


def published_masks(scores: Tensor, present: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """The best class of each pixel, scores of absent classes being 0; the whole grid is stretched over the image."""
    return F.interpolate(scores * present[:, :, None, None], size_hw, mode="bilinear", align_corners=False).argmax(1)
