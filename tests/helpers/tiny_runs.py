"""Training runs that take a second: a dataset that draws from every random generator, a model with dropout, a config for both loops."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from torch import nn

_RUNS = itertools.count()


@DATASETS.register_module(force=True)
class NoisyDots(BaseDataset):
    """Twenty 6×6 images that are a function of their index, plus noise from Python's, numpy's and torch's generators."""

    METAINFO = {"classes": ("dark", "bright")}

    def __init__(self, *, size: int = 20, noise: float = 0.1, log: str | None = None, **settings) -> None:
        self.size = size
        self.noise = noise
        self.log = log
        super().__init__(**settings)

    def load_data_list(self) -> list[dict]:
        return [{"number": i} for i in range(self.size)]

    def prepare_data(self, idx: int) -> dict:
        if self.log is not None:
            with open(self.log, "a") as file:
                file.write(f"{idx}\n")
        image = torch.full((1, 6, 6), idx / self.size)
        noise = random.random() + np.random.rand() + torch.rand(1, 6, 6)  # noqa: NPY002
        return {"inputs": image + self.noise * noise, "labels": int(idx >= self.size // 2)}


@MODELS.register_module(force=True)
class DropoutNet(BaseModel):
    """Two layers with dropout between them; without batch norm unless asked for."""

    def __init__(self, *, batch_norm: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(4) if batch_norm else nn.Identity()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Dropout(dropout), nn.Flatten(), nn.Linear(64, 2))

    def forward(self, inputs: list, labels: list, mode: str = "tensor") -> dict | torch.Tensor | list:
        scores = self.body(torch.stack(inputs))
        labels = torch.as_tensor(labels)
        if mode == "loss":
            return {"loss_ce": nn.functional.cross_entropy(scores, labels)}
        return list(zip(scores.argmax(1).tolist(), labels.tolist(), scores.sum(1).tolist(), strict=True))


@METRICS.register_module(force=True)
class Agreement(BaseMetric):
    """Share of right answers, and a sum that notices any change of the scores."""

    def process(self, data_batch: dict, data_samples: list) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list) -> dict:
        return {
            "accuracy": float(np.mean([p == t for p, t, _ in results])),
            "total": float(np.sum([s for *_, s in results])),
            "count": len(results),
        }


@METRICS.register_module(force=True)
class Rising(BaseMetric):
    """Better at every validation, whatever the model says."""

    default_prefix = "Rising"

    def process(self, data_batch: dict, data_samples: list) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list) -> dict:
        return {"score": MessageHub.get_current_instance().get_info("epoch")}


@HOOKS.register_module(force=True)
class StopAfter(Hook):
    """End the process's training as if the user had: after so many iterations, once the checkpoint of that moment is written."""

    priority = "LOWEST"

    def __init__(self, iterations: int) -> None:
        self.iterations = iterations

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self._stop(runner, by_epoch=False)

    def after_train_epoch(self, runner) -> None:
        self._stop(runner, by_epoch=True)

    def _stop(self, runner, by_epoch: bool) -> None:
        done = runner.iter if by_epoch else runner.iter + 1
        if done >= self.iterations and by_epoch == self.ends_epoch(runner):
            raise KeyboardInterrupt

    def ends_epoch(self, runner) -> bool:
        return type(runner.train_loop).__name__ == "EpochBasedTrainLoop" and self.iterations % len(runner.train_loop.dataloader) == 0


def tiny_config(
    work_dir: Path,
    *,
    epochs: int | None = 4,
    iterations: int | None = None,
    workers: int = 0,
    persistent: bool = False,
    batch_size: int = 5,
    seed: int | None = 7,
    stop_after: int | None = None,
    checkpoint: dict | None = None,
    model: dict | None = None,
    log: Path | None = None,
    sampler: str = "DefaultSampler",
    validate: bool = False,
    metric: str = "Agreement",
    launcher: str = "none",
    hooks: tuple[dict, ...] = (),
) -> Config:
    """A config in the form that a file would give."""
    loader = dict(num_workers=workers, persistent_workers=persistent, batch_size=batch_size)
    dataset = dict(type="NoisyDots", log=None if log is None else str(log), serialize_data=False)
    by_epoch = iterations is None
    cfg = dict(
        default_scope="mmengine",
        work_dir=str(work_dir),
        model=model or dict(type="DropoutNet"),
        train_dataloader=dict(**loader, dataset=dataset, sampler=dict(type=sampler, shuffle=True)),
        train_cfg=dict(by_epoch=True, max_epochs=epochs, val_interval=1)
        if by_epoch
        else dict(by_epoch=False, max_iters=iterations, val_interval=4),
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01)),
        param_scheduler=[dict(type="PolyLR", power=0.9, eta_min=1e-4, begin=0, end=40, by_epoch=False)],
        default_hooks=dict(
            checkpoint=checkpoint or dict(type="mmstreet.AtomicCheckpointHook", interval=1 if by_epoch else 4, by_epoch=by_epoch)
        ),
        custom_hooks=[dict(type="mmstreet.ExactResumeHook"), dict(type="mmstreet.FiniteLossHook"), *hooks],
        randomness=dict(seed=seed),
        log_level="WARNING",
        launcher=launcher,
        experiment_name=f"tiny{next(_RUNS)}",  # runs of one second would share mmengine's message hub
    )
    if stop_after is not None:
        cfg["custom_hooks"].append(dict(type="StopAfter", iterations=stop_after))
    if validate:
        cfg |= dict(
            val_dataloader=dict(
                **loader, dataset=dict(type="NoisyDots", size=11, serialize_data=False), sampler=dict(type="DefaultSampler", shuffle=False)
            ),
            val_cfg=dict(),
            val_evaluator=dict(type=metric),
        )
    return Config(cfg)


def stop_workers(runner: Runner) -> None:
    """End persistent workers now; when they are garbage in a cycle, torch waits five seconds for each."""
    for loader in [runner.train_dataloader] + ([runner.val_dataloader] if runner.val_loop is not None else []):
        if loader._iterator is not None:
            loader._iterator._shutdown_workers()
