"""Settings that have an option of their own on the command line, put into a config wherever it says them."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.runner import Runner

from mmstreet.deps import require
from mmstreet.engine.errors import LaunchError

LOGS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}
"""What ``--log`` takes, with the module that it needs; the extra is of the same name."""
_LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
_PLACES_OF_PATHS = (*_LOADERS, "val_evaluator", "test_evaluator")


def set_length(cfg: Config, key: str, length: int) -> None:
    """Change the length of a run, and what the schedules say of it.

    Args:
        cfg: The config, changed in place.
        key: ``'max_epochs'`` or ``'max_iters'``.
        length: In that unit.

    Raises:
        LaunchError: If the config counts the other unit, or ``length`` is below 1.
    """
    before = (cfg.get("train_cfg") or {}).get(key)
    if before is None or length < 1:
        unit = {"max_epochs": "iters", "max_iters": "epochs"}[key]
        advice = f"it counts {unit}, so give --{unit}" if before is None else "give at least 1"
        raise LaunchError(f"the length of '{cfg.filename}' cannot be set to {length} by train_cfg.{key}: {advice}")
    cfg.train_cfg[key] = length
    for spec in _schedulers(cfg):
        if spec.get("by_epoch", True) == (key == "max_epochs"):
            spec.update({name: length for name in ("end", "T_max") if spec.get(name) == before})


def set_learning_rate(cfg: Config, lr: float) -> None:
    """Change the learning rate; the rates that a schedule names (``eta_min``) change in proportion, and no batch size scales it.

    Args:
        cfg: The config, changed in place.
        lr: The rate of the optimizer, of those weights that have no multiplier.

    Raises:
        LaunchError: If ``lr`` is not above 0 and finite, or if the config has no single optimizer with a rate.
    """
    if not (math.isfinite(lr) and lr > 0):
        raise LaunchError(f"a learning rate is a number above 0, such as 0.01, not {lr}")
    optimizer = (cfg.get("optim_wrapper") or {}).get("optimizer") or {}
    if "type" not in optimizer:
        raise LaunchError(f"config '{cfg.filename}' has no single optimizer whose learning rate could be set; use --cfg-options")
    before = optimizer.get("lr")
    optimizer["lr"] = lr
    for spec in _schedulers(cfg) if before else ():
        spec.update({name: spec[name] * lr / before for name in ("eta_min", "eta_max") if spec.get(name)})
    if cfg.get("auto_scale_lr"):
        cfg.auto_scale_lr["enable"] = False


def set_batch_size(cfg: Config, batch_size: int, *, loader: str) -> None:
    """Change how many images a process takes at a time.

    Args:
        cfg: The config, changed in place.
        batch_size: Images per process and step.
        loader: ``'train_dataloader'`` or another.

    Raises:
        LaunchError: If ``batch_size`` is below 1, or the config has no such loader.
    """
    if batch_size < 1:
        raise LaunchError(f"a batch has at least 1 image, not {batch_size}")
    if not cfg.get(loader):
        raise LaunchError(f"config '{cfg.filename}' has no {loader} whose batch size could be set")
    cfg[loader].pop("batch_sampler", None)  # torch takes one or the other
    cfg[loader]["batch_size"] = batch_size


def check_steps(runner: Runner) -> None:
    """Refuse a batch that the training set cannot fill, before a schedule divides by the number of steps.

    Raises:
        LaunchError: If an epoch has no step, or the config no training set.
    """
    if runner.train_loop is None:
        raise LaunchError(f"config '{runner.cfg.filename}' has no train_dataloader, so it can be tested, but not trained")
    loader = runner.train_dataloader
    if len(loader) == 0 and not isinstance(loader.sampler, InfiniteSampler):
        raise LaunchError(
            f"the training set has {len(loader.dataset)} images, too few for one batch of {loader.batch_size} on each process (drop_last "
            "leaves out what does not fill one); give a smaller --batch-size"
        )


def set_data_root(cfg: Config, folder: str | Path) -> None:
    """Let every data set and metric of a config read from another folder of the same layout.

    Every ``data_root`` of the loaders becomes ``folder``, also inside wrappers, and so does the beginning of every path below the old one,
    as mmdet's metrics have it.

    Args:
        cfg: The config, changed in place.
        folder: Where the data set lies.

    Raises:
        LaunchError: If ``folder`` is no folder, or if the config names none, or several.
    """
    if not Path(folder).is_dir():
        raise LaunchError(f"there is no folder '{folder}' to read the data set from; correct --data")
    places = {key: cfg[key] for key in _PLACES_OF_PATHS if cfg.get(key)}
    roots = {str(value) for key, value in _texts(places) if key == "data_root"}
    if len(roots) != 1:
        advice = "set each with --cfg-options, e.g. train_dataloader.dataset.data_root=FOLDER"
        found = f"reads from {len(roots)} folders ({', '.join(sorted(roots))})" if roots else "names no data_root"
        raise LaunchError(f"config '{cfg.filename}' {found}, so --data cannot replace one: {advice}")
    _replace_root(places, roots.pop().rstrip("/"), str(folder).rstrip("/") or "/", set())


def set_logs(cfg: Config, names: Sequence[str]) -> None:
    """Let mmengine also write scalars and config for TensorBoard, Weights & Biases or MLflow.

    TensorBoard's files lie in the run's folder beside mmengine's own. Weights & Biases and MLflow get a run named after the folder, in the
    project or experiment ``mmstreet``; their own environment variables (``WANDB_PROJECT``, ``WANDB_MODE``, ``MLFLOW_TRACKING_URI``, …) go
    first. MLflow without a server keeps its runs in ``mlflow.db`` and ``mlflow/`` there.

    Args:
        cfg: The config with its ``work_dir``, changed in place.
        names: Out of :data:`LOGS`.

    Raises:
        ImportError: If a package is not installed.
    """
    run = Path(cfg.work_dir).resolve()
    for name in names:
        require(LOGS[name], extra=name)
    server = os.environ.get("MLFLOW_TRACKING_URI")
    place = dict(tracking_uri=server) if server else dict(tracking_uri=f"sqlite:///{run}/mlflow.db", artifact_location=f"{run}/mlflow")
    backends = {
        "tensorboard": dict(type="TensorboardVisBackend"),
        "wandb": dict(type="WandbVisBackend", init_kwargs=dict(name=run.name, project=os.environ.get("WANDB_PROJECT", "mmstreet"))),
        "mlflow": dict(type="MLflowVisBackend", exp_name="mmstreet", run_name=run.name, **place),
    }
    cfg.setdefault("visualizer", dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackend")]))
    present = [backend.get("type") for backend in cfg.visualizer.get("vis_backends") or ()]
    added = [backends[name] for name in dict.fromkeys(names) if backends[name]["type"] not in present]
    cfg.visualizer.vis_backends = [*(cfg.visualizer.get("vis_backends") or ()), *added]


def _schedulers(cfg: Config) -> list[dict]:
    specs = cfg.get("param_scheduler") or []
    return [spec for spec in ([specs] if isinstance(specs, dict) else specs) if isinstance(spec, dict)]


def _texts(node: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every setting of a config at any depth, with its own key."""
    parts = node.items() if isinstance(node, dict) else ((name, part) for part in node) if isinstance(node, list | tuple) else ()
    for key, value in parts:
        yield key, value
        yield from _texts(value, key)


def _replace_root(node: object, old: str, new: str, seen: set[int]) -> None:
    """Replace the beginning of every path below ``old``; loaders may share a dict, which is changed once."""
    if id(node) in seen:
        return
    seen.add(id(node))
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if isinstance(value, tuple):
            parts = list(value)
            _replace_root(parts, old, new, seen)
            node[key] = tuple(parts)
        elif isinstance(value, dict | list):
            _replace_root(value, old, new, seen)
        elif key == "data_root":
            node[key] = new
        elif isinstance(value, str) and old and value.startswith(f"{old}/"):
            node[key] = f"{new}{value[len(old) :]}"
