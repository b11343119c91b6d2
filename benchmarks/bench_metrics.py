"""How long one test image costs in the metric: StreetIoUMetric against mmseg's IoUMetric and torchmetrics, on one core, same numbers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping

import torch

from mmstreet.files.confusion_scores import iou_per_class, mean_present
from mmstreet.labels import BDD100K_SEM19
from mmstreet.metrics.semantic import StreetIoUMetric

SHAPE_HW = (720, 1280)
NUM_CLASSES = 19


def street_maps(shape_hw: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Make labels in blocks with void at the bottom, and a prediction that is wrong on every tenth pixel; int64 ``[H, W]``."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(0, NUM_CLASSES, (shape_hw[0] // 16, shape_hw[1] // 16), generator=generator)
    truth = blocks.repeat_interleave(16, 0).repeat_interleave(16, 1).contiguous()
    noise = torch.randint(0, NUM_CLASSES, truth.shape, generator=generator)
    preds = torch.where(torch.rand(truth.shape, generator=generator) < 0.1, noise, truth)
    labels = truth.clone()
    labels[-shape_hw[0] // 10 :] = 255
    return labels, preds


def fastest_ms(steps: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the shortest time of each call in milliseconds; the calls take turns, so other work on the machine meets all of them."""
    best = dict.fromkeys(steps, float("inf"))
    for _ in range(repeats):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
    return best


def run(quick: bool = False) -> list[dict]:
    """Time one image each, and compare the mean IoU that the three report."""
    from mmseg.evaluation.metrics import IoUMetric
    from torchmetrics.classification import MulticlassJaccardIndex

    labels, preds = street_maps((144, 256) if quick else SHAPE_HW)
    sample = {"img_path": "street.jpg", "gt_sem_seg": {"data": labels[None]}, "pred_sem_seg": {"data": preds[None]}}
    ours, mmseg = StreetIoUMetric(), IoUMetric(prefix="mmseg")
    ours.dataset_meta = mmseg.dataset_meta = BDD100K_SEM19.metainfo
    settings = {"num_classes": NUM_CLASSES, "ignore_index": 255}
    checked, unchecked = MulticlassJaccardIndex(**settings), MulticlassJaccardIndex(**settings, validate_args=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        steps = {
            "ours": lambda: ours.process(None, [sample]),
            "mmseg IoUMetric": lambda: mmseg.process(None, [sample]),
            "torchmetrics JaccardIndex": lambda: checked.update(preds[None], labels[None]),
            "torchmetrics, validate_args=False": lambda: unchecked.update(preds[None], labels[None]),
        }
        times = fastest_ms(steps, 3 if quick else 20)
    finally:
        torch.set_num_threads(threads)
    size = f"{labels.shape[1]}x{labels.shape[0]}, {NUM_CLASSES} classes"
    rows = [{"name": f"StreetIoUMetric.process, {size}", "value": times["ours"], "unit": "ms", "target": "", "note": "label ids checked"}]
    targets = {"mmseg IoUMetric": ">= 5", "torchmetrics JaccardIndex": ">= 5", "torchmetrics, validate_args=False": ">= 2"}
    for peer, target in targets.items():
        note = f"{times[peer]:.1f} ms / {times['ours']:.1f} ms"
        rows.append({"name": f"faster than {peer}", "value": times[peer] / times["ours"], "unit": "x", "target": target, "note": note})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchmetrics warns about classes that are absent
        expected = 100 * float(unchecked.compute())
    difference = abs(100 * mean_present(iou_per_class(ours.results[0][1])) - expected)
    rows.append({"name": "mIoU differs from torchmetrics by", "value": difference, "unit": "points", "target": "< 1e-3", "note": ""})
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<60} {row['value']:>9.3g} {row['unit']:<8} {row['target']:<8} {row['note']}")
