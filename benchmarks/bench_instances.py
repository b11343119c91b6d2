"""What AP costs: BDD100KInsMetric, with two protocols and intervals, beside pycocotools, faster-coco-eval and mmdet, with one protocol.

All sides start from the same boolean masks, as a model hands them out; processor time of one core. Those that are not installed are left
out. pycocotools' side is what its demo does: encode the
masks, ``loadRes``, ``evaluate``, ``accumulate``, ``summarize``. The scores are compared before any time is reported.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from mmstreet.deps import installed, require
from mmstreet.labels import BDD100K_INS8
from mmstreet.metrics.instance import BDD100KInsMetric

SIZE_HW = (720, 1280)
INSTANCES = 18
"""Labels per image; a published report on BDD100K counts 17.78."""
PREDICTIONS = 100
"""Per image, as many as MMDetection's Mask R-CNN keeps."""


def make_sample(image_id: int, size_hw: tuple[int, int]) -> dict:
    """Make one image's labels, shifted copies of them with high scores, and strays with low ones, as the evaluator passes them on."""
    coding = require("pycocotools.mask", extra="instances")
    rng = np.random.default_rng(image_id)
    y, x = np.ogrid[: size_hw[0], : size_hw[1]]

    def ellipse(centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
        return ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1

    instances, masks, labels, scores = [], [], [], []
    for number in range(PREDICTIONS):
        centre, radii = rng.uniform((0.4 * size_hw[0], 0), size_hw), rng.lognormal(3.2, 0.8, 2) * size_hw[0] / 720 + 1
        label, is_true = int(rng.choice(8, p=[0.2, 0.03, 0.6, 0.05, 0.03, 0.01, 0.03, 0.05])), number < INSTANCES
        if is_true:
            mask = ellipse(centre, radii)
            rle = coding.encode(np.asfortranarray(mask, np.uint8))
            area = int(mask.sum())
            entry = {"bbox": coding.toBbox(rle).tolist(), "bbox_label": label, "ignore_flag": int(rng.random() < 0.1), "area": area}
            instances.append(entry | {"mask": {"size": list(size_hw), "counts": rle["counts"].decode()}})
            centre, radii = centre + rng.normal(0, 0.1 * radii), radii * rng.uniform(0.85, 1.2, 2)
        masks.append(ellipse(centre, radii))
        labels.append(label)
        scores.append(rng.uniform(0.3, 1) if is_true else rng.uniform(0.05, 0.4))
    found = {"masks": torch.from_numpy(np.array(masks)), "labels": torch.tensor(labels), "scores": torch.tensor(scores)}
    found["bboxes"] = torch.zeros(len(masks), 4)
    return {"img_id": image_id, "img_path": f"{image_id}.jpg", "ori_shape": size_hw, "instances": instances, "pred_instances": found}


def coco_truth(samples: list[dict]) -> dict:
    """Return the samples' labels as a COCO file."""
    images = [{"id": s["img_id"], "height": s["ori_shape"][0], "width": s["ori_shape"][1], "file_name": s["img_path"]} for s in samples]
    annotations = [
        {
            "id": 1000 * sample["img_id"] + position,
            "image_id": sample["img_id"],
            "category_id": instance["bbox_label"] + 1,
            "bbox": instance["bbox"],
            "area": instance["area"],
            "iscrowd": instance["ignore_flag"],
            "segmentation": instance["mask"],
        }
        for sample in samples
        for position, instance in enumerate(sample["instances"], start=1)
    ]
    categories = [{"id": label.raw_id, "name": label.name} for label in BDD100K_INS8.labels]
    return {"images": images, "annotations": annotations, "categories": categories}


def score_ours(samples: list[dict]) -> dict[str, float]:
    """Evaluate with mmstreet: both protocols."""
    metric = BDD100KInsMetric()
    metric.dataset_meta = BDD100K_INS8.metainfo
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(len(samples))


def score_pycocotools(samples: list[dict], truth_path: Path) -> list[float]:
    """Evaluate with pycocotools: the COCO protocol."""
    coding = require("pycocotools.mask", extra="instances")
    results = []
    for sample in samples:
        found = sample["pred_instances"]
        for mask, label, score in zip(found["masks"].numpy(), found["labels"].tolist(), found["scores"].tolist()):
            rle = coding.encode(np.asfortranarray(mask, np.uint8))
            results.append({"image_id": sample["img_id"], "category_id": label + 1, "score": score, "segmentation": rle})
    coco = require("pycocotools.coco", extra="instances").COCO(str(truth_path))
    evaluator = require("pycocotools.cocoeval", extra="instances").COCOeval(coco, coco.loadRes(results), "segm")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator.stats[:6].tolist()


def score_faster(samples: list[dict], truth: dict) -> list[float]:
    """Evaluate with faster-coco-eval: the COCO protocol, its own encoder and its matching in C++."""
    from faster_coco_eval import COCO, COCOeval_faster
    from faster_coco_eval.core import mask as coding

    results = []
    for sample in samples:
        found = sample["pred_instances"]
        for mask, label, score in zip(found["masks"].numpy(), found["labels"].tolist(), found["scores"].tolist()):
            rle = coding.encode(np.asfortranarray(mask, np.uint8))
            results.append({"image_id": sample["img_id"], "category_id": label + 1, "score": score, "segmentation": rle})
    coco = COCO(truth)
    evaluator = COCOeval_faster(coco, coco.loadRes(results), "segm", print_function=lambda *_: None)
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator.stats[:6].tolist()


def score_mmdet(samples: list[dict], truth_path: Path) -> dict[str, float]:
    """Evaluate with MMDetection: the COCO protocol."""
    from mmdet.evaluation import CocoMetric

    metric = CocoMetric(ann_file=str(truth_path), metric="segm")
    metric.dataset_meta = BDD100K_INS8.metainfo
    for sample in samples:
        metric.process(None, [sample])
    return metric.evaluate(len(samples))


def run(quick: bool = False) -> list[dict]:
    """Time the sides in turn and compare their scores."""
    number, repeats, size_hw = (4, 1, (180, 320)) if quick else (40, 3, SIZE_HW)
    samples = [make_sample(image_id, size_hw) for image_id in range(1, number + 1)]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        truth_path = Path(folder) / "truth.json"
        truth_path.write_text(json.dumps(coco_truth(samples)))
        sides = {
            "ours": lambda: score_ours(samples),
            "pycocotools": lambda: score_pycocotools(samples, truth_path),
        }
        if installed("faster_coco_eval"):
            sides["faster"] = lambda: score_faster(samples, json.loads(truth_path.read_text()))
        if installed("mmdet"):
            sides["mmdet"] = lambda: score_mmdet(samples, truth_path)
        best, scores = dict.fromkeys(sides, float("inf")), {}
        for _ in range(repeats):
            for name, side in sides.items():
                start = time.process_time()
                scores[name] = side()
                best[name] = min(best[name], 1000 * (time.process_time() - start) / number)
    ours = [scores["ours"].get(f"coco/{name}", -100.0) for name in ("AP", "AP50", "AP75", "APs", "APm", "APl")]
    difference = max(abs(a - 100 * b) for a, b in zip(ours, scores["pycocotools"]))
    if difference:
        raise RuntimeError(f"the COCO scores differ from pycocotools' by up to {difference} points, so the times say nothing")
    note = f"{number} images of {size_hw[1]}×{size_hw[0]}, {PREDICTIONS} predictions and {INSTANCES} labels each, best of {repeats}"
    gap = f"COCO {scores['ours']['coco/AP']:.2f}, bitmask {scores['ours']['bitmask/AP']:.2f} on these made-up scenes"
    rows = [{"name": "mask AP, both protocols, ours", "value": best["ours"], "unit": "ms/image", "target": "", "note": note}]
    for name, what in (("pycocotools", "pycocotools"), ("faster", "faster-coco-eval"), ("mmdet", "mmdet")):
        if name in best:
            ratio = best[name] / best["ours"]
            target = ">= 1.18" if name == "faster" else ">= 1"
            before = 0.82 if name == "faster" else None
            rows.append({"name": f"mask AP, {what} (one) / ours (both)", "value": ratio, "unit": "x", "target": target, "before": before})
    return [*rows, {"name": "COCO scores differ from pycocotools by", "value": difference, "unit": "points", "target": "0", "note": gap}]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few small images, one repeat")
    for measured in run(parser.parse_args().quick):
        print(f"{measured['name']}: {measured['value']:.3g} {measured['unit']}  {measured['target']}  {measured['note']}")
