"""What a training step of a config costs, in time and memory, beside mmseg's cross entropy on the same network."""

from __future__ import annotations

import gc
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict

from benchmarks.gpu_training import CONFIGS, input_hw, make_step, prepare_device
from mmstreet.engine.launch import load_config
from mmstreet.labels import get_table

PLAIN = dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True)
_WARM_UP, _FEWEST, _SECONDS = 2, 4, 4.0
"""Steps before the first that counts, fewest that count, and how long they go on after these."""


def semantic_bdd_configs() -> list[str]:
    """Return the names of all configs that train a segmentor on BDD100K."""
    return sorted(path.stem for path in CONFIGS.glob("*_bdd*.py") if not path.stem.startswith("mask_rcnn"))


def is_of_hub(cfg: Config) -> bool:
    """Whether the network of a config is one of transformers, by its name on the hub."""
    return cfg.model.type.endswith("TransformersSegmentor")


def as_plain(cfg: Config) -> Config:
    """Let a config train as mmseg would: with its cross entropy in every head, its preprocessor, and torch's default optimizer."""
    cfg.model.setdefault("data_preprocessor", ConfigDict()).type = "mmseg.SegDataPreProcessor"
    cfg.optim_wrapper.optimizer.pop("fused", None)
    if is_of_hub(cfg):
        cfg.model.loss_decode = ConfigDict(PLAIN)
        return cfg
    for head in (cfg.model.decode_head, cfg.model.get("auxiliary_head")):
        if head:
            head.loss_decode = ConfigDict(PLAIN, loss_weight=1.0 if head is cfg.model.decode_head else 0.4)
            for term in ("boundary_weight", "skeleton_weight"):
                head.pop(term, None)
    return cfg


def with_random_weights(cfg: Config, folder: Path) -> Config:
    """Let a config take its network of the hub from a folder that says what it is; others stay as they are."""
    if is_of_hub(cfg):
        from benchmarks.hub_architectures import write_architecture

        cfg.model.model = str(write_architecture(folder, cfg.model.model, get_table(cfg.model.classes).names))
        cfg.model.pretrained = False
    return cfg


def measure_configs(device: torch.device, *, names: list[str], quick: bool) -> Iterator[Callable[[], list[dict]]]:
    """Give one job per config: its step time and memory, and their ratios to plain mmseg."""
    for name in names:
        yield lambda name=name: _measure_config(name, device, quick=quick)


def _measure_config(name: str, device: torch.device, *, quick: bool) -> list[dict]:
    cfg = load_config(CONFIGS / f"{name}.py", launcher="none")
    small = quick and device.type == "cpu"
    if small and is_of_hub(cfg):
        return [dict(what=f"{name}: step", value=None, note="left out: its network has one size, too large for a quick look on a CPU")]
    batch, shrink = (2, 8) if small else (cfg.train_dataloader.batch_size, 1)
    with tempfile.TemporaryDirectory() as folder:
        with_random_weights(cfg, Path(folder))
        while True:
            try:
                found = {
                    kind: time_steps(
                        as_plain(cfg.copy()) if kind == "plain" else cfg.copy(),
                        device,
                        batch=batch,
                        shrink=shrink,
                        repeats=1 if small else 4 if quick else 12,
                        prepared=kind == "ours",
                    )
                    for kind in ("plain", "ours")
                }
                break
            except torch.cuda.OutOfMemoryError:
                if batch == 1:
                    raise
                batch //= 2
    return _rows(name, cfg, found, batch=batch, shrink=shrink)


def _rows(name: str, cfg: Config, found: dict[str, tuple[list[float], float]], *, batch: int, shrink: int) -> list[dict]:
    seconds = {kind: statistics.median(values) for kind, (values, _) in found.items()}
    peaks = {kind: peak / 2**30 for kind, (_, peak) in found.items()}
    height, width = (side // shrink for side in input_hw(cfg))
    wanted = cfg.train_dataloader.batch_size
    size = f"batch {batch} of {width}×{height}" + (f" (its {wanted} do not fit)" if batch < wanted and shrink == 1 else "")
    spread = f"{1e3 * min(found['ours'][0]):.1f} to {1e3 * max(found['ours'][0]):.1f} ms"
    rows = [
        dict(what=f"{name}: step", value=1e3 * seconds["ours"], unit="ms", note=f"{size}; {spread}; plain {1e3 * seconds['plain']:.1f} ms"),
        dict(what=f"{name}: step / mmseg with cross entropy", value=seconds["ours"] / seconds["plain"], unit="×"),
    ]
    if not math.isnan(peaks["ours"]):
        rows.append(dict(what=f"{name}: peak memory", value=peaks["ours"], unit="GiB", note=f"plain {peaks['plain']:.2f} GiB"))
    return rows


def time_steps(cfg: Config, device: torch.device, *, batch: int, shrink: int, repeats: int, prepared: bool) -> tuple[list[float], float]:
    """Build a config and return what :func:`repeat_steps` does.

    Args:
        cfg: Config of a segmentor.
        device: Where it trains.
        batch: Images of a step.
        shrink: Divides both sides of the images.
        repeats: Steps that count at most.
        prepared: Set up the device as every run of this package does.
    """
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = False
    _free(device)
    model, wrapper, data = make_step(cfg, device, batch=batch, shrink=shrink)
    if prepared:
        data = prepare_device(model, wrapper, data, device)
    return repeat_steps(lambda: model.train_step(data, wrapper), device, repeats)


def repeat_steps(step: Callable[[], object], device: torch.device, repeats: int) -> tuple[list[float], float]:
    """Return the seconds of each step after two that warm up, and the peak of allocated memory in bytes, nan on a CPU.

    There are ``repeats`` steps, fewer, but no less than four, where they take long.
    """
    seconds: list[float] = []
    for i in range(repeats + _WARM_UP):
        if i == _WARM_UP and device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        _finish(device)
        start = time.perf_counter()
        step()
        _finish(device)
        if i >= _WARM_UP:
            seconds.append(time.perf_counter() - start)
        if len(seconds) >= _FEWEST and sum(seconds) > _SECONDS:
            break
    return seconds, torch.cuda.max_memory_allocated() if device.type == "cuda" else float("nan")


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
