"""The few lines that say what a run is about to do, before it begins."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.dist import get_world_size
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import DataLoader

from mmstreet.engine.config_base import question_of
from mmstreet.files.dataset_parts import dataset_parts

_SHOWN_CLASSES = 6


def train_header(runner: Runner) -> str:
    """Say what a training reads, computes on, takes and writes to. To be called when data sets and optimizer are built."""
    train, val = runner.train_dataloader, runner.val_loop.dataloader if runner.val_loop is not None else None
    count = f"{len(train.dataset):,} images to train on" + (f", {len(val.dataset):,} to validate" if val is not None else "")
    rows = {"data": f"{_roots(train.dataset)}: {count}", "classes": _classes(train.dataset), "device": _device(runner)}
    epochs = runner.max_epochs if isinstance(runner.train_loop, EpochBasedTrainLoop) else None
    length = f"{epochs:,} epochs of {len(train):,} iterations" if epochs else f"{runner.max_iters:,} iterations"
    rows["length"] = f"{length}, {_batch(train)}; {_optimizer(runner)}"
    if runner.iter:
        rows["start"] = f"goes on after {f'epoch {runner.epoch}, ' if epochs else ''}iteration {runner.iter:,}, from {runner._load_from}"
    elif runner._load_from:
        rows["start"] = f"from the weights in {runner._load_from}"
    return _lay_out(runner, rows)


def test_header(runner: Runner) -> str:
    """Say what a test reads, computes on and writes to."""
    loader = runner.test_loop.dataloader
    rows = {"data": f"{_roots(loader.dataset)}: {len(loader.dataset):,} images", "classes": _classes(loader.dataset)}
    rows |= {"device": _device(runner), "weights": str(runner.cfg.get("load_from"))}
    return _lay_out(runner, rows)


def _lay_out(runner: Runner, rows: Mapping[str, str]) -> str:
    file = runner.cfg.filename
    name, question = (Path(file).stem, question_of(file) or "") if file else (runner.experiment_name, "")
    log = runner.logger.log_file
    rows = {**rows, "folder": f"{_shorter(runner.work_dir)}" + (f"; all else is in {_shorter(log)}" if log else "")}
    width = max(map(len, rows))
    first_sentence = re.split(r"(?<=[.?!])\s", question, maxsplit=1)[0]
    return "\n".join([f"{name}  {first_sentence}".strip(), *(f"  {key:<{width}}  {text}" for key, text in rows.items())])


def _shorter(path: str) -> Path:
    absolute = Path(path).resolve()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute


def _roots(dataset: object) -> str:
    roots = (str(getattr(part, "data_root", "") or "") for part in dataset_parts(dataset))
    return ", ".join(dict.fromkeys(filter(None, roots))) or type(dataset).__name__


def _classes(dataset: object) -> str:
    names: Sequence[str] = (getattr(dataset, "metainfo", None) or {}).get("classes") or ()
    if not names:
        return "not named by the data set"
    return f"{len(names)}: {', '.join(names[:_SHOWN_CLASSES])}{', …' if len(names) > _SHOWN_CLASSES else ''}"


def _device(runner: Runner) -> str:
    device = next(iter(runner.model.parameters()), torch.empty(0)).device
    threads = torch.get_num_threads()
    name = {"cpu": f"CPU, {threads} thread{'s' * (threads > 1)}"}.get(device.type, device.type)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else name
    wrapper = (runner.cfg.get("optim_wrapper") or {}).get("type", "")
    mixed = {"AmpOptimWrapper": ", mixed precision", "mmstreet.CpuAmpOptimWrapper": ", bfloat16"}.get(wrapper, "")
    return name + mixed + (f", {get_world_size()} processes" if get_world_size() > 1 else "")


def _batch(loader: DataLoader) -> str:
    size = loader.batch_size or getattr(loader.batch_sampler, "batch_size", None)
    if size is None:
        return f"batches of {type(loader.batch_sampler).__name__}"
    return f"batches of {size}" + (" on each process" if get_world_size() > 1 else "")


def _optimizer(runner: Runner) -> str:
    wrapper = runner.optim_wrapper
    optimizers = [part.optimizer for part in wrapper.values()] if isinstance(wrapper, OptimWrapperDict) else [wrapper.optimizer]
    rates = sorted({group.get("initial_lr", group["lr"]) for optimizer in optimizers for group in optimizer.param_groups})
    names = ", ".join(type(optimizer).__name__ for optimizer in optimizers)
    return f"{names}, lr {rates[0]:g}" + (f" to {rates[-1]:g}" if len(rates) > 1 else "")
