"""What could a perfect SAM bring? It answers every prompt with the true region that overlaps the asked one most.

``python -m benchmarks.refine_ceiling CONFIG CHECKPOINT --data data/mini`` prints mIoU and the IoU of each class before and after
:class:`~mmstreet.refine.refiners.PromptRefiner` with its default gates, asked about objects alone and about every class. What stays wrong
then, no better contour corrects: the network has no region there, or one of another class.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.small_sam_scenes import Scene, read_scenes
from mmstreet.files.confusion_scores import iou_per_class, mean_present
from mmstreet.labels import get_table
from mmstreet.metrics.functional import confusion_matrix
from mmstreet.predict.predictor import Predictor
from mmstreet.refine.components import Component, cut
from mmstreet.refine.proposals import Masks, Prompts
from mmstreet.refine.refiners import PromptRefiner


class TrueMasks:
    """A mask source that knows the true regions of the image it is asked about.

    Attributes:
        regions: The true regions.
    """

    regions: Sequence[Component] = ()

    def predict(self, image: np.ndarray, prompts: Prompts) -> Masks:
        """Answer each prompt with the true region of the highest IoU; with the asked one where none overlaps."""
        asked = prompts.regions
        answers = [self._best(box, crop) for box, crop in zip(asked.boxes_xyxy.tolist(), asked.crops)]
        boxes = np.array([box for box, _ in answers], np.int64).reshape(-1, 4)
        return Masks(boxes, [crop for _, crop in answers], np.ones(len(answers), np.float32), asked.size_hw)

    def _best(self, box: Sequence[int], crop: np.ndarray) -> tuple[Sequence[int], np.ndarray]:
        best, best_iou = (box, crop), 0.0
        for region in self.regions:
            shared = np.count_nonzero(cut(crop, box, region.window) & region.crop)
            iou = shared / (np.count_nonzero(crop) + region.area_px - shared)
            if iou > best_iou:
                best, best_iou = (region.box_xyxy, region.crop), iou
        return best


def score(predictor: Predictor, scenes: Sequence[Scene], prompt_classes: str) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Return IoU per class before and after, and how many regions were accepted and asked about."""
    source, size = TrueMasks(), len(predictor.classes)
    refine = PromptRefiner(classes=predictor.classes, source=source, prompt_classes=prompt_classes)
    counts, accepted, asked = np.zeros((2, size + 1, size + 1), np.int64), 0, 0
    for scene in scenes:
        source.regions = scene.objects
        result = predictor(scene.image)
        refined, record = refine(scene.image, result.probs)
        accepted += sum(region.accepted for region in record.regions)
        asked += len(record.regions)
        truth = torch.from_numpy(scene.labels).long()
        for k, preds in enumerate((result.labels, refined)):
            counts[k] += confusion_matrix(truth, torch.from_numpy(preds).long(), num_classes=size).numpy()
    return 100 * iou_per_class(counts[0]), 100 * iou_per_class(counts[1]), accepted, asked


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("checkpoint")
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="mini set (default: %(default)s)")
    parser.add_argument("--split", default="val")
    args = parser.parse_args()
    torch.set_num_threads(1)
    predictor = Predictor(args.config, args.checkpoint, keep_probs=True)
    if predictor.classes != get_table("bdd100k_sem19").names:
        parser.error(f"'{args.config}' predicts other classes than the mini set's 19")
    scenes = read_scenes(args.data, args.split)
    print("| asked about | accepted | mIoU | " + " | ".join(predictor.classes) + " |\n" + "|---" * (3 + len(predictor.classes)) + "|")
    for words in ("objects", "all"):
        before, after, accepted, asked = score(predictor, scenes, words)
        cells = [f"{mean_present(before):.2f} ({mean_present(after) - mean_present(before):+.2f})"]
        cells += [f"{b:.1f} ({a - b:+.1f})" for b, a in zip(before, after)]
        print(f"| {words} | {accepted} of {asked} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
