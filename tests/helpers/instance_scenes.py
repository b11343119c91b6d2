"""Random street-like scenes of instance masks, as the evaluator passes them on, and as COCO files."""

import contextlib
import io

import numpy as np
import torch
from pycocotools import mask as coding
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmstreet.labels import BDD100K_INS8
from mmstreet.metrics.mask_overlaps import Predictions, Truth

SIZE_HW = (130, 170)
WEATHER = ("clear", "rainy", "partly cloudy")


def encode(mask):
    rle = coding.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}


def ellipse(rng, centre=None, radii=None):
    """A mask that holds at least one pixel, and what it was made from."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    centre = rng.uniform((5, 5), (SIZE_HW[0] - 5, SIZE_HW[1] - 5)) if centre is None else centre
    radii = (rng.lognormal(2.6, 0.7, 2) + 2) * rng.choice([1, 5], p=[0.75, 0.25]) if radii is None else radii
    mask = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    mask[int(np.clip(centre[0], 0, SIZE_HW[0] - 1)), int(np.clip(centre[1], 0, SIZE_HW[1] - 1))] = True
    return mask, centre, radii


def make_instance(mask, label, *, ignored=False, crowd=False, occluded=False, truncated=False):
    return {
        "bbox": [0.0, 0.0, 1.0, 1.0],
        "bbox_label": int(label),
        "ignore_flag": int(ignored or crowd),
        "mask": encode(mask),
        "area": int(mask.sum()),
        "occluded": bool(occluded),
        "truncated": bool(truncated),
        "crowd": bool(crowd),
        "ignored": bool(ignored),
    }


def make_sample(img_id, instances, masks, labels, scores, *, weather="clear", size_hw=SIZE_HW):
    masks = np.array(masks, bool).reshape(-1, *size_hw)
    return {
        "img_id": img_id,
        "img_path": f"images/{img_id}.jpg",
        "ori_shape": size_hw,
        "weather": weather,
        "scene": "city street",
        "timeofday": "night",
        "instances": instances,
        "pred_instances": {
            "masks": torch.from_numpy(masks),
            "labels": torch.tensor(labels, dtype=torch.int64),
            "scores": torch.tensor(scores, dtype=torch.float32),
        },
    }


def random_samples(count, *, seed=0, without=(), most=7):
    """Scenes with overlapping, ignored and crowded instances; predictions are shifted copies and strays, many with equal scores."""
    rng = np.random.default_rng(seed)
    classes = np.array([i for i in range(len(BDD100K_INS8)) if i not in without])
    samples = []
    for img_id in range(count):
        instances, masks, labels, scores = [], [], [], []
        for _ in range(rng.integers(0, most + 1)):
            mask, centre, radii = ellipse(rng)
            label = rng.choice(classes[:3])
            flags = dict(zip(("ignored", "crowd", "occluded", "truncated"), rng.random(4) < (0.15, 0.15, 0.4, 0.3)))
            instances.append(make_instance(mask, label, **flags))
            for _ in range(rng.integers(0, 3)):
                masks.append(ellipse(rng, centre + rng.normal(0, 0.12 * radii), radii * rng.uniform(0.8, 1.25, 2))[0])
                labels.append(int(label if rng.random() < 0.85 else rng.choice(classes)))
                scores.append(round(float(rng.uniform(0.05, 1)), 1))
        for _ in range(rng.integers(0, 3)):
            masks.append(ellipse(rng)[0])
            labels.append(int(rng.choice(classes)))
            scores.append(round(float(rng.uniform(0.05, 0.6)), 1))
        samples.append(make_sample(img_id, instances, masks, labels, scores, weather=WEATHER[img_id % 3]))
    return samples


def as_coco(samples):
    """The same scenes as a COCO file and COCO results."""
    truth = {"images": [], "annotations": [], "categories": [{"id": row.raw_id, "name": row.name} for row in BDD100K_INS8.labels]}
    results = []
    for sample in samples:
        height, width = sample["ori_shape"]
        truth["images"].append({"id": sample["img_id"], "file_name": f"{sample['img_id']}.jpg", "height": height, "width": width})
        for instance in sample["instances"]:
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": sample["img_id"],
                    "category_id": instance["bbox_label"] + 1,
                    "segmentation": instance["mask"],
                    "bbox": coding.toBbox(instance["mask"]).tolist(),
                    "area": instance["area"],
                    "iscrowd": instance["ignore_flag"],
                }
            )
        detected = sample["pred_instances"]
        for mask, label, score in zip(detected["masks"].numpy(), detected["labels"].tolist(), detected["scores"].tolist()):
            results.append({"image_id": sample["img_id"], "category_id": label + 1, "segmentation": encode(mask), "score": score})
    return truth, results


def scene_of(sample):
    """A sample in the form that the free functions take."""
    truth, detected = sample["instances"], sample["pred_instances"]
    return (
        Truth(
            np.array([x["bbox_label"] for x in truth], np.int64),
            [x["mask"] for x in truth],
            np.array([x["area"] for x in truth], float),
            np.array([x["ignore_flag"] for x in truth], bool),
            {flag: np.array([x[flag] for x in truth], bool) for flag in ("occluded", "truncated")},
        ),
        Predictions(detected["labels"].numpy(), detected["scores"].double().numpy(), [encode(mask) for mask in detected["masks"].numpy()]),
    )


def run_pycocotools(truth, results):
    """pycocotools' own evaluation of a COCO file (a path or its content) and results, after ``summarize``."""
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(None if isinstance(truth, dict) else str(truth))
        if isinstance(truth, dict):
            coco.dataset = truth
            coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(results), "segm")
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator
