"""The SAM family as mask source: SAM (Kirillov et al., ICCV 2023), SAM 2 and 2.1 (Ravi et al., 2024), SAM-HQ (Ke et al., NeurIPS 2023).

Only the models of the transformers library are used. Its image processors need torchvision for SAM 2, and their grid of points leaves out
the lower half of an image that is twice as wide as high; so images, prompts and masks are prepared here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mmstreet.files.boxes import box_of_mask, suppress_boxes
from mmstreet.refine.automatic import crop_boxes, point_grid, stability, touches_inner_edge
from mmstreet.refine.components import cut
from mmstreet.refine.frames import Frame
from mmstreet.refine.hub_models import choose_device, fingerprint, load_model, read_model_type
from mmstreet.refine.proposals import Masks, Prompts, box_window
from mmstreet.registry import MASK_SOURCES

FAMILIES = {"sam": "SamModel", "sam_hq": "SamHQModel", "sam2": "Sam2Model"}
_TYPES = {**FAMILIES, "sam2_video": "Sam2Model"}
"""Published SAM 2 checkpoints are those of the video model, which holds the image model."""
_NO_POINT = -10
_PADDING = -1


@MASK_SOURCES.register_module()
@dataclass(kw_only=True, eq=False)
class SAMMasks:
    """Masks of SAM, SAM 2, SAM 2.1 or SAM-HQ, by itself on a grid of points (:meth:`propose`) or for prompts (:meth:`predict`).

    The image is encoded once per call; prompts are decoded in batches.

    Args:
        weights: A folder in transformers' format; a file of SAM's or SAM 2's authors, e.g. ``'sam_vit_b_01ec64.pth'`` or
            ``'sam2.1_hiera_small.pt'``; or a name on the Hugging Face hub, e.g. ``'facebook/sam-vit-base'``,
            ``'facebook/sam2.1-hiera-small'`` or ``'syscv-community/sam-hq-vit-base'``.
        family: ``'sam'``, ``'sam2'`` (also 2.1) or ``'sam_hq'``: what the weights must be; ``None`` takes any of them.
        device: ``'cpu'``, ``'cuda'`` …; ``None`` takes a GPU where there is one.
        batch_size: Prompts that are decoded at once.
        multimask: Let the model give three answers to a prompt and take the one that overlaps most with the region that the prompt is
            about. Its single answer is meant for boxes and is the default.
        points_per_side: Grid for :meth:`propose`, over the whole image.
        points_per_batch: Points of the grid that are decoded at once.
        min_score: Least predicted IoU of a proposed mask.
        min_stability: Least IoU of a proposed mask with itself at thresholds of ±1.
        max_iou: Of two proposed masks whose boxes overlap more, the one with the lower score goes.
        min_area_px: Smaller proposed masks go.
        crop_layers: Also propose on crops: 1 adds 2×2 overlapping quarters with half the points per side.

    Raises:
        ImportError: If transformers is not installed.
        OSError: If the weights cannot be had.
        ValueError: If they are of another family, or ``family`` is unknown.
    """

    weights: str | Path
    family: str | None = None
    device: str | None = None
    batch_size: int = 32
    multimask: bool = False
    points_per_side: int = 32
    points_per_batch: int = 64
    min_score: float = 0.88
    min_stability: float = 0.95
    max_iou: float = 0.7
    min_area_px: int = 100
    crop_layers: int = 0

    def __post_init__(self) -> None:
        if self.family is not None and self.family not in FAMILIES:
            raise ValueError(f"unknown family '{self.family}'; choose one of {', '.join(FAMILIES)}")
        expected = {name: kind for name, kind in _TYPES.items() if self.family is None or kind == FAMILIES[self.family]}
        class_name = expected[read_model_type(self.weights, expected=expected)]
        self.device = choose_device(self.device)
        self.model = load_model(self.weights, class_name=class_name, device=self.device)
        self.family = next(name for name, kind in FAMILIES.items() if kind == class_name)
        self.fingerprint = fingerprint(self.weights)
        self._side = int(self.model.prompt_encoder.input_image_size)
        self._low_side = 4 * int(self.model.prompt_encoder.image_embedding_size[0])

    def predict(self, image: np.ndarray, prompts: Prompts) -> Masks:
        """Answer prompts about an image, RGB uint8 ``[H, W, 3]``.

        Returns:
            One mask per prompt, with logits on the prompt's box and wherever the mask is set.

        Raises:
            ValueError: If ``multimask`` is set and the prompts do not say which regions they are about.
        """
        if self.multimask and prompts.regions is None:
            raise ValueError("multimask=True chooses the answer that fits a region best; give prompts with regions, or set multimask=False")
        size_hw = image.shape[:2]
        boxes, crops, logits, scores = [], [], [], []
        encoded = self._encode(image) if len(prompts) else None
        for start in range(0, len(prompts), self.batch_size):
            frame, embedding = encoded
            chosen = range(start, min(start + self.batch_size, len(prompts)))
            low, quality = self._decode(embedding, frame, prompts, chosen, multimask=self.multimask)
            for i, answers, grades in zip(chosen, low, quality):
                best, box, crop = self._best_answer(answers, frame, prompts, i)
                boxes.append(box)
                crops.append(crop > 0)
                logits.append(crop.astype(np.float16))
                scores.append(grades[best])
        return Masks(np.array(boxes, np.int64).reshape(-1, 4), crops, np.clip(np.array(scores, np.float32), 0, 1), size_hw, logits)

    def propose(self, image: np.ndarray) -> Masks:
        """Find the masks of an image, RGB uint8 ``[H, W, 3]``, by points on a grid; the best first."""
        size_hw = image.shape[:2]
        boxes, crops, scores, sizes = [], [], [], []
        for crop_xyxy in crop_boxes(size_hw, layers=self.crop_layers):
            part = np.ascontiguousarray(image[box_window(crop_xyxy)])
            layer = 0 if part.shape == image.shape else 1
            shift = np.array([*crop_xyxy[:2], *crop_xyxy[:2]])
            for box, crop, score in self._on_grid(part, self.points_per_side // 2**layer or 1):
                box = tuple((np.array(box) + shift).tolist())
                if not layer or not touches_inner_edge(box, crop_xyxy, size_hw):
                    boxes.append(box)
                    crops.append(crop)
                    scores.append(score)
                    sizes.append(part.shape[0] * part.shape[1])
        found = Masks(np.array(boxes, np.int64).reshape(-1, 4), crops, np.array(scores, np.float32), size_hw)
        if self.crop_layers:  # what a crop shows larger is drawn better than in the whole image
            order = np.argsort(sizes, kind="stable")
            found = found.select(order[np.sort(suppress_boxes(found.boxes_xyxy[order], -np.array(sizes)[order], max_iou=self.max_iou))])
        return found

    @torch.inference_mode()
    def _encode(self, image: np.ndarray) -> tuple[Frame, dict]:
        frame = Frame.fit(image.shape[:2], side=self._side, squeeze=self.family == "sam2")
        found = self.model.get_image_embeddings(frame.to_pixels(image).to(self.device))
        if self.family == "sam_hq":
            return frame, {"image_embeddings": found[0], "intermediate_embeddings": list(found[1])}
        return frame, {"image_embeddings": found}

    @torch.inference_mode()
    def _decode(
        self, embedding: dict, frame: Frame, prompts: Prompts, chosen: Sequence[int], *, multimask: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return logits over the frame ``[n, answers, s, s]`` and predicted IoU ``[n, answers]`` of some prompts."""
        chosen = list(chosen)
        ask: dict = {}
        if prompts.boxes_xyxy is not None:
            ask["input_boxes"] = torch.from_numpy(frame.to_frame(prompts.boxes_xyxy[chosen]))[None]  # [1, n, 4]
        if prompts.points_xy.shape[1]:
            kinds = prompts.point_labels[chosen]
            ask["input_points"] = torch.from_numpy(frame.to_frame(prompts.points_xy[chosen]))[None]  # [1, n, P, 2]
            ask["input_labels"] = torch.from_numpy(np.where(kinds == _PADDING, _NO_POINT, kinds))[None]
        if prompts.mask_logits is not None:
            # A mask prompt goes with an image of the batch, not with a prompt; so the embedding is repeated, and each has one prompt.
            ask = {name: value.transpose(0, 1) for name, value in ask.items()}
            drawn = [frame.to_mask_prompt(prompts.mask_logits[i], prompts.mask_boxes_xyxy[i], low_side=self._low_side) for i in chosen]
            ask["input_masks"] = torch.stack(drawn)  # [n, 1, s, s]
            embedding = {name: _repeat(value, len(chosen)) for name, value in embedding.items()}
        ask = {name: value.to(self.device) for name, value in ask.items()}
        answer = self.model(**embedding, **ask, multimask_output=multimask)
        low = answer.pred_masks.flatten(0, 1).float().cpu().numpy()
        return low, answer.iou_scores.flatten(0, 1).float().cpu().numpy()

    def _best_answer(self, answers: np.ndarray, frame: Frame, prompts: Prompts, i: int) -> tuple[int, tuple, np.ndarray]:
        """Return the position of the answer to take, its box and its logits there."""
        windows = [self._window(low, frame, prompts.boxes_xyxy[i]) for low in answers]
        drawn = [frame.sample(low, box_window(box)) for low, box in zip(answers, windows)]
        best = 0
        if len(answers) > 1:
            region, at = prompts.regions.crops[i], prompts.regions.boxes_xyxy[i]
            overlaps = []
            for box, crop in zip(windows, drawn):
                shared = np.count_nonzero(cut(crop > 0, box, box_window(at)) & region)
                overlaps.append(shared / max(1, np.count_nonzero(crop > 0) + np.count_nonzero(region) - shared))
            best = int(np.argmax(overlaps))
        return best, windows[best], drawn[best]

    def _window(self, low: np.ndarray, frame: Frame, box_xyxy: np.ndarray | None) -> tuple[int, int, int, int]:
        """Return the box of the image that holds the prompt's box, a pixel around it, and every pixel where the mask may be set."""
        height, width = frame.image_hw
        found = None
        if box_xyxy is not None:
            x1, y1, x2, y2 = box_xyxy.tolist()
            found = (max(0, int(x1) - 2), max(0, int(y1) - 2), min(width, int(np.ceil(x2)) + 2), min(height, int(np.ceil(y2)) + 2))
        rows, columns = frame.inner_size(len(low))
        is_set = low[:rows, :columns] > 0
        if is_set.any():
            reach = frame.window_of(box_of_mask(is_set), len(low))
            found = reach if found is None else (*np.minimum(found[:2], reach[:2]).tolist(), *np.maximum(found[2:], reach[2:]).tolist())
        return (0, 0, 0, 0) if found is None else found

    def _on_grid(self, image: np.ndarray, points_per_side: int) -> list[tuple[tuple, np.ndarray, float]]:
        """Return box, cut-out and score of the masks that a grid of points finds, the best first."""
        points = point_grid(image.shape[:2], points_per_side)
        prompts = Prompts(boxes_xyxy=None, points_xy=points[:, None], point_labels=np.ones((len(points), 1), np.int64))
        frame, embedding = self._encode(image)
        rows, columns = frame.inner_size(self._low_side)
        found = []
        for start in range(0, len(points), self.points_per_batch):
            chosen = range(start, min(start + self.points_per_batch, len(points)))
            low, quality = self._decode(embedding, frame, prompts, chosen, multimask=True)
            passed = quality >= self.min_score
            low, quality = low[passed], quality[passed]  # before anything is resized to the size of the image
            steady = stability(low[:, :rows, :columns]) >= self.min_stability
            found += [self._draw(mask, frame, score) for mask, score in zip(low[steady], quality[steady])]
        found = [item for item in found if np.count_nonzero(item[1]) >= max(1, self.min_area_px)]
        kept = suppress_boxes(np.array([item[0] for item in found]), np.array([item[2] for item in found]), max_iou=self.max_iou)
        return [found[i] for i in kept]

    def _draw(self, low: np.ndarray, frame: Frame, score: float) -> tuple[tuple, np.ndarray, float]:
        box = self._window(low, frame, None)
        tight = Masks.from_full(frame.sample(low, box_window(box))[None] > 0)
        shifted = tight.boxes_xyxy[0] + np.array([*box[:2], *box[:2]])
        return tuple(shifted.tolist()), tight.crops[0], float(np.clip(score, 0, 1))


def _repeat(value: object, count: int) -> object:
    if isinstance(value, list | tuple):
        return [_repeat(item, count) for item in value]
    return value.expand(count, *value.shape[1:])
