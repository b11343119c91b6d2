"""Average precision the obvious way: dense masks, plain loops, nothing shared with the package or with pycocotools' evaluator."""

import numpy as np
from pycocotools import mask as coding

AREAS = {"all": (0, 1e10), "small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 1e10)}
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
SCORES = {
    "AP": (THRESHOLDS, "all"),
    "AP50": ([0.5], "all"),
    "AP75": ([0.75], "all"),
    "APs": (THRESHOLDS, "small"),
    "APm": (THRESHOLDS, "medium"),
    "APl": (THRESHOLDS, "large"),
}


def dense_scene(sample, **wanted):
    """Instances, and predictions sorted by score, of a sample, with dense masks; ``wanted`` is a flag that instances need to count."""
    truth = [
        {
            "mask": coding.decode(x["mask"]).astype(bool),
            "label": x["bbox_label"],
            "ignored": x["ignore_flag"],
            "unwanted": any(x[flag] != value for flag, value in wanted.items()),
        }
        for x in sample["instances"]
    ]
    detected = sample["pred_instances"]
    columns = zip(detected["masks"].numpy(), detected["labels"].tolist(), detected["scores"].double().tolist())
    preds = [{"mask": mask, "label": label, "score": score} for mask, label, score in columns]
    return truth, sorted(preds, key=lambda pred: -pred["score"])


def own_pixels(ranked):
    """Take from every mask what those before it in the ranking own; leave out what owns nothing."""
    taken, owners = np.False_, []
    for item in ranked:
        owners.append({**item, "mask": item["mask"] & ~taken})
        taken = taken | item["mask"]
    return [item for item in owners if item["mask"].any()]


def bitmask_scene(sample, **wanted):
    """The scene with one owner per pixel: the best prediction, the last label."""
    truth, preds = dense_scene(sample, **wanted)
    return own_pixels(truth[::-1])[::-1], own_pixels(preds)


def iou(pred, instance, *, regions):
    known = pred.setdefault("known", {})
    if id(instance) not in known:
        known[id(instance)] = measure_iou(pred, instance, regions=regions)
    return known[id(instance)]


def measure_iou(pred, instance, *, regions):
    shared = (pred["mask"] & instance["mask"]).sum()
    whole = pred["mask"].sum() if regions and instance["ignored"] else (pred["mask"] | instance["mask"]).sum()
    return shared / whole


def judge(truth, preds, threshold, area, *, regions):
    """Say of each prediction of one class in one image: hit, miss, or None where it does not count; and how many instances count."""
    low, high = AREAS[area]
    outside = [x["ignored"] or x["unwanted"] or not low <= x["mask"].sum() <= high for x in truth]
    outside = [bool(x) for x in outside]
    used, verdicts = set(), []
    for pred in preds[:100]:
        best = None
        for out in (False, True) if regions else (None,):  # COCO tries the instances that count first
            if best is not None:
                break
            least = threshold
            for i, instance in enumerate(truth):
                if (out is None or outside[i] == out) and (i not in used or (regions and instance["ignored"])):
                    overlap = iou(pred, instance, regions=regions)
                    if overlap >= least:
                        best, least = i, overlap
        if best is None:
            verdicts.append((pred["score"], False if low <= pred["mask"].sum() <= high else None))
        else:
            used.add(best)
            verdicts.append((pred["score"], None if outside[best] else True))
    return verdicts, outside.count(False)


def interpolated(verdicts, total):
    """Precision at 101 recalls, for the verdicts of a split."""
    verdicts = sorted((v for v in verdicts if v[1] is not None), key=lambda v: -v[0])
    points, hits = [], 0
    for rank, (_, hit) in enumerate(verdicts, 1):
        hits += hit
        points.append((hits / total, hits / rank))
    return [max((p for r, p in points if r >= recall), default=0.0) for recall in RECALLS]


def average_precision(scenes, num_classes, *, regions):
    """All scores in per cent, of all classes and of each; nan where no instance counts.

    Args:
        scenes: Truth and predictions of each image, from :func:`dense_scene` or :func:`bitmask_scene`.
        num_classes: Number of classes.
        regions: COCO's rule for ignored instances, not the bitmask protocol's.
    """
    curves = {}
    for area in AREAS:
        for threshold in THRESHOLDS:
            for label in range(num_classes):
                verdicts, total = [], 0
                for truth, preds in scenes:
                    own = [[x for x in items if x["label"] == label] for items in (truth, preds)]
                    detected, counted = judge(*own, threshold, area, regions=regions)
                    verdicts, total = verdicts + detected, total + counted
                curves[area, round(threshold, 2), label] = interpolated(verdicts, total) if total else None
    scores = {}
    for name, (thresholds, area) in SCORES.items():
        for label in [None, *range(num_classes)]:
            labels = range(num_classes) if label is None else [label]
            some = [curves[area, round(t, 2), k] for t in thresholds for k in labels]
            some = [100 * value for curve in some if curve for value in curve]
            scores[name, label] = sum(some) / len(some) if some else float("nan")
    return scores


def image_average_precision(truth, preds, num_classes, *, regions):
    """Area under the curve of one image at IoU 0.5, all classes in one ranking; nan without instances that count."""
    verdicts, total = [], 0
    for label in range(num_classes):
        detected, counted = judge(*([x for x in items if x["label"] == label] for items in (truth, preds)), 0.5, "all", regions=regions)
        verdicts, total = verdicts + detected, total + counted
    verdicts = sorted((v for v in verdicts if v[1] is not None), key=lambda v: -v[0])
    hits = [hit for _, hit in verdicts]
    precision = [sum(hits[:rank]) / rank for rank in range(1, len(hits) + 1)]
    return sum(max(precision[i:]) for i, hit in enumerate(hits) if hit) / total if total else float("nan")
