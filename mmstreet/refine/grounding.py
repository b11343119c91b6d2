"""Grounding DINO (Liu et al., ECCV 2024) as detector: boxes of classes that are given by name. With SAM behind it this is Grounded SAM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mmstreet.files.boxes import suppress_boxes
from mmstreet.refine.frames import normalize
from mmstreet.refine.hub_models import choose_device, fingerprint, load_model, load_tokenizer, read_model_type
from mmstreet.refine.proposals import Detections
from mmstreet.registry import MASK_SOURCES

_TYPES = {"grounding-dino": "GroundingDinoForObjectDetection"}


@MASK_SOURCES.register_module()
@dataclass(kw_only=True, eq=False)
class GroundingDINOBoxes:
    """Boxes of named classes, found by Grounding DINO.

    The class names make one text, ``"car. person. traffic light."``. Each of the model's queries scores every token of it; a class scores
    as its best token, and a query stands for its best class.

    Args:
        weights: A folder in transformers' format with the tokenizer, or a name on the hub, e.g. ``'IDEA-Research/grounding-dino-tiny'``.
        device: ``'cpu'``, ``'cuda'`` …; ``None`` takes a GPU where there is one.
        min_score: Boxes of lower scores are left out.
        max_iou: Of two boxes of one class that overlap more, the one with the lower score goes.
        short_side_px: The image is scaled to this shorter side …
        long_side_px: … unless the longer side would exceed this.

    Raises:
        ImportError: If transformers is not installed.
        OSError: If the weights or the tokenizer cannot be had.
        ValueError: If they are of another model.
    """

    weights: str | Path
    device: str | None = None
    min_score: float = 0.25
    max_iou: float = 0.7
    short_side_px: int = 800
    long_side_px: int = 1333

    def __post_init__(self) -> None:
        class_name = _TYPES[read_model_type(self.weights, expected=_TYPES)]
        self.device = choose_device(self.device)
        self.model = load_model(self.weights, class_name=class_name, device=self.device)
        self.tokenizer = load_tokenizer(self.weights)
        self.fingerprint = fingerprint(self.weights)

    @torch.inference_mode()
    def detect(self, image: np.ndarray, classes: Sequence[str]) -> Detections:
        """Find boxes of the named classes in an image, RGB uint8 ``[H, W, 3]``.

        Returns:
            Boxes clipped to the image, the best first; class ids are positions in ``classes``.

        Raises:
            ValueError: If the names make a longer text than the model reads, or two are the same.
        """
        if not classes:
            return Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))
        text, spans = self._read_text(classes)
        height, width = image.shape[:2]
        factor = min(self.short_side_px / min(height, width), self.long_side_px / max(height, width))
        size = [max(1, round(length * factor)) for length in (height, width)]
        pixels = torch.from_numpy(np.array(image.transpose(2, 0, 1), np.float32))[None] / 255
        pixels = normalize(F.interpolate(pixels, size=size, mode="bilinear", antialias=True))
        answer = self.model(pixel_values=pixels.to(self.device), **{name: value.to(self.device) for name, value in text.items()})
        by_token = answer.logits[0].float().sigmoid().cpu().numpy()  # [Q, tokens]
        by_class = np.stack([by_token[:, span].max(1) for span in spans], 1)
        ids, scores = by_class.argmax(1), by_class.max(1)
        center, half = np.split(answer.pred_boxes[0].float().cpu().numpy(), 2, axis=1)
        half = half / 2
        boxes = np.clip(np.concatenate([center - half, center + half], 1), 0, 1) * np.array([width, height, width, height])
        passed = np.flatnonzero((scores >= self.min_score) & (boxes[:, 2:] > boxes[:, :2]).all(1))
        kept = passed[suppress_boxes(boxes[passed], scores[passed], max_iou=self.max_iou, groups=ids[passed])]
        return Detections(boxes[kept].astype(np.float32), ids[kept].astype(np.int64), scores[kept].astype(np.float32))

    def _read_text(self, classes: Sequence[str]) -> tuple[dict[str, torch.Tensor], list[list[int]]]:
        """Return the tokens of the text, and the positions of the tokens of each class."""
        names = [name.strip().lower() for name in classes]
        if len(set(names)) < len(names):
            raise ValueError(f"class names must differ, got {', '.join(names)}")
        ids, spans = [self.tokenizer.cls_token_id], []
        for name in names:
            found = self.tokenizer(name, add_special_tokens=False)["input_ids"]
            if not found:
                raise ValueError(f"the tokenizer makes nothing of the class name '{name}'; name the class in words")
            spans.append(list(range(len(ids), len(ids) + len(found))))
            ids += [*found, *self.tokenizer(".", add_special_tokens=False)["input_ids"]]
        ids.append(self.tokenizer.sep_token_id)
        longest = self.model.config.max_text_len
        if len(ids) > longest:
            raise ValueError(f"the {len(names)} class names make {len(ids)} tokens, the model reads {longest}; ask for fewer classes")
        tokens = torch.tensor([ids])
        return {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "token_type_ids": torch.zeros_like(tokens)}, spans
