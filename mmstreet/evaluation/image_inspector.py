"""Measures one image of an instance data set as its pipeline hands it to the network: masks, anchors, proposals, regions."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import torch
from mmdet.registry import TASK_UTILS, TRANSFORMS
from mmengine.config import Config
from mmengine.structures import InstanceData

from mmstreet.files.numbers import percent

MASK_SIZE = 56
REGIONS = 10


class ImageInspector:
    """Measures one image as it is labelled, and as the pipeline hands it to the network; keeps the arrays that a picture needs.

    Attributes:
        arrays: By name: of the original ``image`` uint8 ``[H, W, 3]`` in RGB, ``masks`` bool ``[N, H, W]``, ``boxes`` ``[N, 4]`` and
            ``colors`` ``[N, 3]``; the same of the canvas; ``proposals`` ``[P, 4]`` with ``positive`` ``[P]``; ``regions``, some of the
            proposals by index, with ``owners``, the object that each learns, -1 for background.
    """

    def __init__(self, cfg: Config, classes: dict, original: dict, sample: dict, seed: int):
        self.cfg, self.seed = cfg, seed
        self.original, self.sample = original, sample
        self.counted = ~np.asarray(sample["gt_ignore_flags"], bool)
        self.labels = np.asarray(sample["gt_bboxes_labels"])[self.counted]
        self.texts = [classes["names"][label] for label in self.labels]
        self.boxes, self.masks = _boxes_and_masks(sample, self.counted)
        boxes, masks = _boxes_and_masks(original, self.counted)
        colors = np.array([classes["palette"][label] for label in self.labels], np.uint8).reshape(-1, 3)
        self.arrays = {"image": original["img"][..., ::-1], "masks": masks, "boxes": boxes, "colors": colors}
        self.arrays |= {"canvas": sample["img"][..., ::-1], "canvas_masks": self.masks, "canvas_boxes": self.boxes}

    def inspect_labels(self) -> dict:
        """Say where the instances are on the canvas."""
        rows = [
            {"class": text, "box_xyxy": box.tolist(), "area": int(mask.sum())}
            for text, box, mask in zip(self.texts, self.boxes, self.masks)
        ]
        scale = list(self.sample["scale_factor"])
        return {"counted": len(rows), "ignored": int((~self.counted).sum()), "scale_factor": scale, "on_canvas": rows}

    def inspect_masks(self) -> dict:
        """Measure what masks lose at 56×56, the size that they are learned at."""
        crops = [mask[y1:y2, x1:x2] for mask, (x1, y1, x2, y2) in zip(self.masks, self.boxes.astype(int))]
        small = [shrink_mask(crop, MASK_SIZE) for crop in crops]
        overlaps = [_overlap(crop, shrink_mask(tiny, crop.shape)) for crop, tiny in zip(crops, small)]
        self.arrays["small_masks"] = np.array(small, bool).reshape(-1, MASK_SIZE, MASK_SIZE)
        mean, least = (float(f(overlaps)) if overlaps else None for f in (np.mean, np.min))
        return {"size": MASK_SIZE, "iou_after_return_mean": mean, "iou_after_return_min": least}

    def inspect_anchors(self) -> list[dict]:
        """Count the anchors of each level and those that learn an object; ``example`` are those of a cell in the middle."""
        head = self.cfg.model.rpn_head
        generator = TASK_UTILS.build(copy.deepcopy(head.anchor_generator))
        canvas = self.sample["img"].shape[:2]
        grids = [(-(-canvas[0] // stride[1]), -(-canvas[1] // stride[0])) for stride in generator.strides]
        anchors = generator.grid_priors(grids, device="cpu")
        assigned = self._assign(self.cfg.model.train_cfg.rpn.assigner, torch.cat(anchors)).split([len(level) for level in anchors])
        levels = []
        for stride, grid, boxes, targets in zip(generator.strides, grids, anchors, assigned):
            per_cell = len(boxes) // (grid[0] * grid[1])
            middle = (grid[0] // 2 * grid[1] + grid[1] // 2) * per_cell
            example = boxes[middle : middle + per_cell]
            levels.append(
                {
                    "stride": stride[0],
                    "grid_hw": list(grid),
                    "per_cell": per_cell,
                    "anchors": len(boxes),
                    "sizes_wh": (example[:, 2:] - example[:, :2]).tolist(),
                    "positive": int((targets > 0).sum()),
                    "negative": int((targets == 0).sum()),
                    "ignored": int((targets < 0).sum()),
                    "example": example.tolist(),
                }
            )
        return levels

    def inspect_proposals(self, count: int, regions: int, positive_share: float, model: torch.nn.Module | None) -> dict:
        """Propose boxes, say how many of them meet an object, and sample regions as training does."""
        rng = np.random.default_rng(self.seed)
        if model is None:
            boxes = torch.from_numpy(random_proposals(self.boxes, count, self.sample["img_shape"], rng))
        else:
            boxes = _propose(model, self.sample, count)
        assigned = self._assign(self.cfg.model.train_cfg.rcnn.assigner, boxes)
        positive = (assigned > 0).numpy()
        pools = [np.flatnonzero(positive), np.flatnonzero((assigned == 0).numpy())]
        taken = rng.permutation(pools[0])[: round(regions * positive_share)]
        sampled = np.concatenate([taken, rng.permutation(pools[1])[: regions - len(taken)]])
        shares = {"of_proposals": percent(positive.sum() / max(len(boxes), 1)), "of_sampled": percent(len(taken) / max(len(sampled), 1))}
        chosen = rng.permutation(sampled)[:REGIONS]
        self.arrays |= {"proposals": boxes.numpy(), "positive": positive, "regions": chosen, "owners": assigned.numpy()[chosen] - 1}
        source = "random" if model is None else "rpn"
        return {"source": source, "proposals": len(boxes), "sampled": len(sampled), "positive_percent": shares}

    def _assign(self, assigner: dict, boxes: torch.Tensor) -> torch.Tensor:
        """Return the object that each box learns, from 1; 0 for background, -1 for neither."""
        truth = InstanceData(bboxes=torch.from_numpy(self.boxes), labels=torch.from_numpy(self.labels))
        ignored = InstanceData(bboxes=self.sample["gt_bboxes"].tensor[torch.from_numpy(~self.counted)])
        return TASK_UTILS.build(copy.deepcopy(assigner)).assign(InstanceData(priors=boxes), truth, ignored).gt_inds


def random_proposals(boxes: np.ndarray, count: int, size_hw: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Sample boxes, nine tenths of them around objects in turn and the others anywhere, as Matterport's data generator does.

    A box around an object has its sides sampled uniformly from the object's extent, widened by its own size on either side.

    Args:
        boxes: Objects ``(x1, y1, x2, y2)``, float ``[G, 4]``; without any, all boxes are anywhere.
        count: How many.
        size_hw: Where they may be.
        rng: Source of the random numbers.

    Returns:
        Float32 ``[count, 4]``, each at least a pixel wide and high where the image has room.
    """
    near = round(0.9 * count) if len(boxes) else 0
    frame = np.array([[0, 0, size_hw[1], size_hw[0]]], np.float64)
    # Around the frame itself nothing is added, so that "anywhere" is the image.
    limits = np.repeat(frame, count, axis=0)
    if near:
        chosen = boxes[np.arange(near) % len(boxes)].astype(np.float64)
        size = np.tile(chosen[:, 2:] - chosen[:, :2], 2) * (-1, -1, 1, 1)
        limits[:near] = np.clip(chosen + size, 0, frame[:, [2, 3, 2, 3]])
    ends = rng.uniform(limits[:, None, :2], limits[:, None, 2:], (count, 2, 2))
    low, high = ends.min(1), ends.max(1)
    high = np.minimum(np.maximum(high, low + 1), size_hw[::-1])
    return np.concatenate([np.minimum(low, high - 1).clip(0), high], 1).astype(np.float32)


def shrink_mask(mask: np.ndarray, size: int | tuple[int, int]) -> np.ndarray:
    """Resize a mask, averaging where it becomes smaller, and take what is at least half full; bool ``[h, w]``."""
    size_hw = (size, size) if isinstance(size, int) else size
    smaller = size_hw[0] < mask.shape[0] and size_hw[1] < mask.shape[1]
    resized = cv2.resize(mask.astype(np.float32), size_hw[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    return resized >= 0.5


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max((a | b).sum(), 1))


def _boxes_and_masks(sample: dict, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return sample["gt_bboxes"].tensor.numpy()[counted], sample["gt_masks"].masks[counted].astype(bool)


@torch.no_grad()
def _propose(model: torch.nn.Module, sample: dict, count: int) -> torch.Tensor:
    """Take the proposals of a trained model, the best ``count`` of them."""
    packed = TRANSFORMS.build(dict(type="PackDetInputs", meta_keys=("img_shape", "scale_factor", "ori_shape")))(copy.deepcopy(sample))
    data = model.data_preprocessor({"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}, False)
    settings = Config({**model.test_cfg.rpn, "max_per_img": count, "nms_pre": max(count, model.test_cfg.rpn.nms_pre)})
    features = model.extract_feat(data["inputs"])
    metas = [part.metainfo for part in data["data_samples"]]
    return model.rpn_head.predict_by_feat(*model.rpn_head(features), batch_img_metas=metas, cfg=settings)[0].bboxes.cpu()
