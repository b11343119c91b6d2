"""The scores of a segmentation by looking at one pixel after the other: slow, and hard to get wrong."""

from collections import defaultdict


def count_pairs(pairs, *, ignore_index=255):
    """Count pixels by (true id, predicted id) over images given as nested lists ``[(labels, preds), ...]``."""
    counts = defaultdict(int)
    for labels, preds in pairs:
        for label_row, pred_row in zip(labels, preds):
            for label, pred in zip(label_row, pred_row):
                if label != ignore_index:
                    counts[label, pred] += 1
    return counts


def class_iou(counts, ids):
    """IoU of a set of ids taken as one class; ``None`` where nothing is labelled or predicted so."""
    both = either = 0
    for (label, pred), pixels in counts.items():
        both += pixels if label in ids and pred in ids else 0
        either += pixels if label in ids or pred in ids else 0
    return both / either if either else None


def class_recall(counts, ids):
    """Share of the true pixels of ``ids`` that were found; ``None`` where there are none."""
    true = sum(pixels for (label, _), pixels in counts.items() if label in ids)
    return sum(pixels for (label, pred), pixels in counts.items() if label in ids and pred in ids) / true if true else None


def mean(values):
    """Mean over what is not ``None``."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def scores(counts, names, *, groups):
    """All scalars of the metric, in per cent, by mmseg's convention; absent ones are left out."""
    ious = [class_iou(counts, {i}) for i in range(len(names))]
    recalls = [class_recall(counts, {i}) for i in range(len(names))]
    total = sum(counts.values())
    truth = [sum(pixels for (label, _), pixels in counts.items() if label == i) for i in range(len(names))]
    result = {
        "mIoU": mean(ious),
        "aAcc": sum(pixels for (label, pred), pixels in counts.items() if label == pred) / total,
        "mAcc": mean(recalls),
        "fwIoU": sum(t * iou for t, iou in zip(truth, ious) if t) / sum(truth),
        "catIoU": mean([class_iou(counts, set(ids)) for ids in groups.values()]),
    }
    kinds = ["none" if not t else "common" if t / total >= 0.05 else "medium" if t / total >= 0.005 else "rare" for t in truth]
    result |= {f"IoU_{kind}": mean([iou for iou, own in zip(ious, kinds) if own == kind]) for kind in ("common", "medium", "rare")}
    result |= {f"IoU/{name}": iou for name, iou in zip(names, ious)} | {f"Acc/{name}": recall for name, recall in zip(names, recalls)}
    return {name: 100 * value for name, value in result.items() if value is not None}
