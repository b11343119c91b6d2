"""What a test costs beyond the forward pass: slices, intervals, calibration, objects, kept images, in per cent of the forward pass.

Processor time of one thread, each part in turn on the same images, so that other work on the machine meets all of them. The networks have
random weights; scores come from the labels, smooth and mostly right, as a trained network's. Of the small one of ``street_camvid`` every
part is a large share; beside it stands DeepLabV3 with a ResNet-50.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from mmengine.logging import MMLogger
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmstreet.engine.launch import read_config
from mmstreet.evaluation.kept_images import KeepImagesHook
from mmstreet.labels import CAMVID11
from mmstreet.metrics.confidence import CalibrationMetric
from mmstreet.metrics.dangerous_confusions import DangerousConfusionMetric
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.predict.inference import build_model

SIZE_HW = (576, 768)
IMAGES, TEST_SET = 12, 500
BY = ("row", "brightness", "sharpness", "share/car")
AIM = 10
NETWORKS = {"street_camvid": "small network", "deeplabv3_bdd_v1": "DeepLabV3-R50"}


def make_samples(count: int, size_hw: tuple[int, int]) -> list[SegDataSample]:
    """Make labels in blocks of 24 pixels with void at the bottom, and smooth scores, right on most pixels and sure of them."""
    generator, samples = torch.Generator().manual_seed(0), []
    for i in range(count):
        blocks = torch.randint(0, 11, (size_hw[0] // 24, size_hw[1] // 24), generator=generator)
        truth = blocks.repeat_interleave(24, 0).repeat_interleave(24, 1)
        small = (size_hw[0] // 8, size_hw[1] // 8)
        coarse = torch.randn(11, *small, generator=generator), 9 * torch.rand(1, *small, generator=generator)
        scores, sure = (F.interpolate(one[None], size_hw, mode="bilinear")[0] for one in coarse)
        scores.scatter_add_(0, truth[None], sure)
        labels = truth.clone()
        labels[-size_hw[0] // 10 :] = 255
        sample = SegDataSample(metainfo={"img_path": f"{i}.jpg", "ori_shape": size_hw, "img_shape": size_hw})
        sample.gt_sem_seg, sample.seg_logits = PixelData(data=labels[None]), PixelData(data=scores)
        sample.pred_sem_seg = PixelData(data=scores.argmax(0, keepdim=True))
        samples.append(sample)
    return samples


def seconds_each(steps: Mapping[str, Callable[[int], object]], count: int) -> dict[str, float]:
    """Return the median processor time of each call; the calls take turns, image by image."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for i in range(count):
        for name, step in steps.items():
            start = time.process_time()
            step(i)
            times[name].append(time.process_time() - start)
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def run(quick: bool = False) -> list[dict]:
    """Measure every part."""
    size_hw, count = ((96, 144), 3) if quick else (SIZE_HW, IMAGES)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    MMLogger.get_instance("bench_trust", log_level="ERROR")
    small, large = (build_model(read_config(name)).eval() for name in NETWORKS)
    samples, images = make_samples(count, size_hw), torch.randint(0, 256, (count, 3, *size_hw), dtype=torch.uint8)
    metrics = {
        "scores": StreetIoUMetric(),
        "slices": StreetIoUMetric(by=BY),
        "calibration": CalibrationMetric(temperature=1.3),
        "dangerous confusions": DangerousConfusionMetric(),
    }
    for metric in metrics.values():
        metric.dataset_meta = CAMVID11.metainfo
    keeper = KeepImagesHook(metrics["scores"])

    def forward(model: torch.nn.Module, i: int) -> object:
        with torch.inference_mode():
            return model.test_step({"inputs": [images[i]], "data_samples": [samples[i].clone()]})

    steps: dict[str, Callable[[int], object]] = {"forward": lambda i: forward(small, i)}
    for name, metric in metrics.items():
        steps[name] = lambda i, metric=metric: metric.process({"inputs": [images[i]]}, [samples[i].to_dict()])
    steps["kept images"] = lambda i: keeper.after_test_iter(SimpleNamespace(), i, outputs=[samples[i]])
    forward(small, 0)
    times = seconds_each(steps, count)
    with_large = seconds_each({"forward": lambda i: forward(large, i)}, 1 if quick else 2)["forward"]
    plain, sliced = metrics["scores"], metrics["slices"]
    for metric in (plain, sliced):
        metric.results = [metric.results[i % count] for i in range(TEST_SET)]
    ends = {}
    with redirect_stdout(io.StringIO()):
        for name, metric in (("intervals", plain), ("slices", sliced)):
            start = time.process_time()
            metric.compute_metrics(metric.results)
            ends[name] = time.process_time() - start
    torch.set_num_threads(threads)
    words = f"{size_hw[1]}x{size_hw[0]}, 11 classes, one thread; {{:.2f}} s forward"
    forwards = dict(zip(NETWORKS.values(), (times["forward"], with_large)))
    intervals = ends["intervals"] / TEST_SET
    slices = max(0.0, times["slices"] - times["scores"]) + (ends["slices"] - ends["intervals"]) / TEST_SET
    parts = {
        "scores": times["scores"],
        f"intervals, 1000 draws on {TEST_SET} images": intervals,
        f"slices by {', '.join(BY)}": slices,
        "calibration, two temperatures": times["calibration"],
        "intervals, slices and calibration together": intervals + slices + times["calibration"],
        "dangerous confusions": times["dangerous confusions"],
        "images kept for the page": times["kept images"],
    }
    return [
        {
            "name": f"{network}: {part}",
            "value": 100 * seconds / whole,
            "unit": "% of fwd",
            "target": f"<= {AIM}",
            "note": words.format(whole),
        }
        for network, whole in forwards.items()
        for part, seconds in parts.items()
    ]
