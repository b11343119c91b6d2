"""How far a segmentor predicts by the methods of mmseg, and what these do to its scores."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import BaseSegmentor
from torch import Tensor, nn


def finishes_as_mmseg(model: nn.Module) -> bool:
    """Whether a segmentor makes label maps of its scores as mmseg does, by no method of its own."""
    return (
        isinstance(model, EncoderDecoder)
        and _inherits(model, EncoderDecoder, "predict")
        and _inherits(model, BaseSegmentor, "postprocess_result")
    )


def resizes_as_mmseg(model: nn.Module) -> bool:
    """Whether, beyond that, the scores are the head's for the whole image, resized to the size of the input."""
    if not finishes_as_mmseg(model) or model.test_cfg.get("mode") != "whole":
        return False
    head, steps = model.decode_head, ("inference", "whole_inference", "encode_decode", "_forward")
    return (
        _inherits(model, EncoderDecoder, *steps)
        and isinstance(head, BaseDecodeHead)
        and _inherits(head, BaseDecodeHead, "predict", "predict_by_feat")
    )


def _inherits(part: nn.Module, base: type, *names: str) -> bool:
    return all(getattr(type(part), name) is getattr(base, name) and name not in vars(part) for name in names)


def input_size(meta: Mapping) -> tuple[int, int]:
    """Return the height and width to which ``BaseDecodeHead.predict_by_feat`` resizes scores."""
    size = meta["img_shape"] if isinstance(meta["img_shape"], torch.Size) else meta.get("pad_shape", meta["img_shape"])
    return tuple(size[:2])


def padding_of(meta: Mapping) -> tuple[int, int, int, int]:
    """Return how many columns and rows were added to a sample: left, right, top, bottom."""
    return tuple(meta.get("img_padding_size", meta.get("padding_size", (0, 0, 0, 0))))


def without_padding(scores: Tensor, meta: Mapping) -> Tensor:
    """Cut the padding of a sample from its scores ``[C, H, W]``, as mmseg does."""
    left, right, top, bottom = padding_of(meta)
    return scores[:, top : scores.shape[1] - bottom, left : scores.shape[2] - right]
