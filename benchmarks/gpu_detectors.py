"""What a training step of a detector of BDD100K costs, where it waits for the device, and whether cuDNN's timing of its algorithms pays."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from benchmarks.gpu_steps import repeat_steps
from benchmarks.gpu_training import CONFIGS, describe_waits, training_step
from benchmarks.host_waits import cpu_waits, cuda_waits
from mmstreet.engine.compiled_ops import explain_instances
from mmstreet.engine.launch import load_config
from mmstreet.predict.inference import build_model

_BATCHES, _OBJECTS = 4, 20


def bdd_detectors() -> list[str]:
    """Return the names of all configs that train a detector on BDD100K."""
    return sorted(path.stem for path in CONFIGS.glob("mask_rcnn*_bdd*.py"))


def random_objects(count: int, size_hw: tuple[int, int], num_classes: int, *, seed: int) -> dict:
    """Make images with boxes, each filled by its mask, as MMDetection's data loader gives them."""
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    rng, (height, width) = np.random.default_rng(seed), size_hw
    images, samples = [], []
    for i in range(count):
        number = int(rng.integers(_OBJECTS // 2, _OBJECTS + 1))
        sides = (rng.uniform(0.03, 0.3, (number, 2)) * (width, height)).astype(int) + 2
        corners = (rng.uniform(0, 1, (number, 2)) * ((width, height) - sides)).astype(int)
        masks = np.zeros((number, height, width), np.uint8)
        for mask, (x, y), (wide, high) in zip(masks, corners, sides):
            mask[y : y + high, x : x + wide] = 1
        meta = dict(img_id=i, img_path=f"{i}.jpg", img_shape=size_hw, ori_shape=size_hw, pad_shape=size_hw, scale_factor=(1.0, 1.0))
        sample = DetDataSample(metainfo=meta)
        sample.gt_instances = InstanceData(
            bboxes=torch.from_numpy(np.hstack([corners, corners + sides])).float(),
            labels=torch.from_numpy(rng.integers(num_classes, size=number)),
            masks=BitmapMasks(masks, height, width),
        )
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        samples.append(sample)
        images.append(torch.from_numpy(rng.integers(0, 256, (3, *size_hw), dtype=np.uint8)))
    return dict(inputs=images, data_samples=samples)


def measure_detectors(device: torch.device, *, quick: bool) -> Iterator[Callable[[], list[dict]]]:
    """Give one job per config: step time, memory, waits; for the first also the time with cuDNN the other way."""
    for name in bdd_detectors():
        yield lambda name=name: _measure(name, device, quick=quick)


def _measure(name: str, device: torch.device, *, quick: bool) -> list[dict]:
    if lacking := explain_instances(name):
        return [dict(what=f"{name}: step", value=None, note=f"left out: {lacking}")]
    cfg, small = load_config(CONFIGS / f"{name}.py", launcher="none"), quick and device.type == "cpu"
    side, count = (128, 1) if small else (1024, cfg.train_dataloader.batch_size)
    steps = 1 if small else 6 if quick else 12
    timing = bool(cfg.env_cfg.cudnn_benchmark)
    try:
        seconds, peak, waits = _time(cfg, device, side, count, steps, timing=timing)
        note = f"batch {count} of {side}×{side}; {1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f} ms"
        rows = [dict(what=f"{name}: step", value=1e3 * statistics.median(seconds), unit="ms", note=note)]
        if device.type == "cuda":
            rows.append(dict(what=f"{name}: peak memory", value=peak / 2**30, unit="GiB"))
        if device.type == "cuda" and name == bdd_detectors()[0]:
            others, _, _ = _time(cfg, device, side, count, steps, timing=not timing)
            note = f"{1e3 * min(others):.1f} to {1e3 * max(others):.1f} ms"
            value = statistics.median(others) / statistics.median(seconds)
            rows.append(dict(what=f"{name}: the same, cudnn_benchmark={not timing}", value=value, unit="×", note=note))
    finally:
        torch.backends.cudnn.benchmark = False
    row = describe_waits(name, waits)
    return [*rows, row | dict(note=f"of other packages {dict(Counter(wait.package for wait in waits if wait.package != 'mmstreet'))}")]


def _time(cfg: Config, device: torch.device, side: int, count: int, steps: int, *, timing: bool) -> tuple[list[float], float, list]:
    """Return the seconds of each step, the peak memory in bytes, and the waits of one more step."""
    torch.backends.cudnn.benchmark = timing
    torch.manual_seed(0)
    # Random weights: no file of a network is read, and batch norm of frozen statistics would let numbers grow from layer to layer.
    cfg = cfg.copy()
    cfg.model.backbone.norm_eval = False
    with DefaultScope.overwrite_default_scope("mmdet"):
        model = build_model(cfg)
        model.init_weights()
        model = model.to(device).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    wrapper.optimizer.param_groups[0]["lr"] = 1e-4
    classes = model.roi_head.bbox_head.num_classes
    batches = [random_objects(count, (side, side), classes, seed=seed) for seed in range(_BATCHES)]
    step, tensors = training_step(model, wrapper, *batches)
    seconds, peak = repeat_steps(step, device, steps)
    with cuda_waits() if device.type == "cuda" else cpu_waits(tensors) as waits:
        step()
    return seconds, peak, waits
