"""From a config file to a runner: what training and testing share on one process or many, with a GPU or without."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmstreet.datasets.data_file import is_data_file, read_data_file
from mmstreet.engine.amp import set_mixed_precision
from mmstreet.engine.checkpoints import find_checkpoint, is_complete, latest_checkpoint
from mmstreet.engine.compiled_ops import check_ops, explain_instances
from mmstreet.engine.config_keys import check_keys, check_options
from mmstreet.engine.config_text import OnceFormatted
from mmstreet.engine.data_config import fit_config, lacks_data
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.gpu_settings import set_for_gpu
from mmstreet.engine.processes import import_formatter, join_processes
from mmstreet.engine.run_options import set_batch_size, set_data_root, set_learning_rate, set_length, set_logs
from mmstreet.files.config_files import find_config

LAUNCHERS = ("auto", "none", "pytorch", "slurm", "mpi")
HOOKS = ("CheckpointGuardHook", "DeviceHook", "LabelMapsHook", "MissedValidationHook", "ScheduleHook")
"""Hooks that every run has, whatever its config lists."""


def read_config(path: str | Path, cfg_options: Mapping | None = None, *, data: str | Path | None = None) -> Config:
    """Read a config as it is built from, whatever the machine: options merged, helpers (names with an underscore first) left out.

    Args:
        path: Config file, or the name of a config that comes with the package.
        cfg_options: Settings by dotted key that overrule the file's.
        data: A ``data.yaml`` that the config is fitted to, before the options; see :func:`~mmstreet.engine.data_config.fit_config`.

    Raises:
        LaunchError: If the config does not exist, if nobody would read a key or an option, if an option does not fit, or if the data does
            not.
    """
    try:
        path = find_config(path)
    except FileNotFoundError as error:
        raise LaunchError(str(error)) from None
    check_keys(path)
    try:
        cfg = Config.fromfile(path)
    except ModuleNotFoundError as error:
        if "mmdet" in str(error) and (said := explain_instances(path)):
            raise LaunchError(said) from error
        raise
    if data is not None:
        fit_config(cfg, read_data_file(data))
    if cfg_options:
        check_options(cfg, cfg_options)
        try:
            cfg.merge_from_dict(dict(cfg_options))
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise LaunchError(f"an option does not fit the config '{path}': {error.args[0] if error.args else error}") from None
    for key in [key for key in cfg if key.startswith("_")]:
        cfg.pop(key)
    return cfg


def load_config(
    path: str | Path,
    *,
    work_dir: str | Path | None = None,
    cfg_options: Mapping | None = None,
    launcher: str = "auto",
    resume: bool | str | Path | None = None,
    amp: bool = False,
    channels_last: bool = False,
    compiled: bool = False,
    load_from: str | Path | None = None,
    epochs: int | None = None,
    iters: int | None = None,
    schedule: str | None = None,
    ema: float | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    loader: str = "train_dataloader",
    data: str | Path | None = None,
    logs: Sequence[str] = (),
) -> Config:
    """Read a config (mmseg's or mmdet's, as its ``default_scope`` says) and settle what depends on the command line and the machine.

    Args:
        path: Config file, or the name of a config that comes with the package.
        work_dir: Where the run goes. Default: the config's ``work_dir``, else ``./work_dirs/<config name>``.
        cfg_options: Settings by dotted key that overrule the file's.
        launcher: Who started the processes. ``'auto'`` is ``'pytorch'`` below torchrun and ``'none'`` elsewhere.
        resume: ``True`` goes on from the newest complete checkpoint in ``work_dir``, or starts from the beginning when there is none
            yet (a requeued cluster job needs no second command); a path goes on from that checkpoint, or from the newest in that folder.
        amp: Mixed precision, in training, validation and test: float16 on a GPU, bfloat16 on a CPU that is fast in it.
        channels_last: Lay out weights and maps with their channels last; see ``DeviceHook``.
        compiled: Compile the backbone; see ``DeviceHook``.
        load_from: Checkpoint whose weights are loaded, by path or URL, or the folder of a run for its newest one; overrules the config's.
        epochs: Length of the run, for a config that counts epochs; schedules that end with the run end with it then too.
        iters: The same for a config that counts iterations.
        schedule: What a resumed run of another length does: ``'stretch'`` or ``'restart'``; see ``ScheduleHook``.
        ema: Momentum of a running mean of the weights, which is what is validated and saved: a mean over the last tenth of the
            iterations so far, of about ``1 / ema`` at most.
        lr: Learning rate; what a schedule ends with changes in proportion.
        batch_size: Images per process and step of ``loader``.
        loader: ``'train_dataloader'`` or ``'test_dataloader'``.
        data: Folder that every data set of the config is read from, in place of its ``data_root``; or a ``data.yaml``, whose data sets
            and classes take the place of the config's.
        logs: Where mmengine logs to besides its own files: ``'tensorboard'``, ``'wandb'``, ``'mlflow'``.

    Returns:
        The config, ready for :func:`build_runner`. SyncBN has become BN where there is nothing to synchronise with or no GPU to do it.

    Raises:
        LaunchError: If the config or the checkpoint to resume from does not exist, if the config has no model, if nobody would read a key
            or an option, if that checkpoint is not complete, if ``ema`` is not in (0, 1), or if a setting does not fit the config; see
            :mod:`mmstreet.engine.run_options`.
    """
    described = data if is_data_file(data) else None
    cfg = read_config(path, cfg_options, data=described)
    if "model" not in cfg:
        raise LaunchError(f"config '{path}' has no 'model'; give the config of a segmentor or a detector")
    check_ops(cfg, path)
    if epochs is not None or iters is not None:
        set_length(cfg, "max_epochs" if iters is None else "max_iters", epochs if iters is None else iters)
    if lr is not None:
        set_learning_rate(cfg, lr)
    if batch_size is not None:
        set_batch_size(cfg, batch_size, loader=loader)
    if data is not None and described is None:
        set_data_root(cfg, data)
    if schedule is not None:
        _replace_hook(cfg, dict(type="mmstreet.ScheduleHook", extension=schedule))
    if ema is not None:
        if not 0 < ema < 1:
            raise LaunchError(f"the momentum of averaged weights is above 0 and below 1, such as 0.002, not {ema}")
        _replace_hook(cfg, dict(type="EMAHook", ema_type="MomentumAnnealingEMA", momentum=ema, gamma=10, update_buffers=True))
    if work_dir is not None:
        cfg.work_dir = str(work_dir)
    elif cfg.get("work_dir") is None:
        name = Path(cfg.filename).stem if described is None else f"{Path(cfg.filename).stem}_{read_data_file(described).name}"
        cfg.work_dir = str(Path("./work_dirs") / name)
    if logs:
        set_logs(cfg, logs)
    if load_from is not None:
        cfg.load_from = str(find_checkpoint(load_from) if Path(load_from).is_dir() else load_from)
    cfg.launcher = _resolve_launcher(launcher)
    if resume:
        _set_resume(cfg, resume)
    if amp:
        set_mixed_precision(cfg)
    if channels_last or compiled:
        _replace_hook(cfg, dict(type="mmstreet.DeviceHook", channels_last=channels_last, compiled=compiled))
    if get_device() == "cuda":
        set_for_gpu(cfg)
    if cfg.launcher == "none" or get_device() == "cpu":
        changed = sync_bn_to_bn(cfg.get("model"))
        cfg.pop("sync_bn", None)
        if changed:
            print_log(f"{changed} SyncBN settings became BN: there is nothing to synchronise with, or no GPU to do it", logger="current")
    return cfg


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config that :func:`load_config` prepared, and join the other processes first if there are any.

    The hooks of :data:`HOOKS` are added where the config lacks them.

    Raises:
        LaunchError: If the launcher cannot work without a GPU.
    """
    if lacks_data(cfg):
        raise LaunchError(
            f"config '{Path(cfg.filename).stem}' has no data of its own; 'mmstreet init FOLDER' writes a data.yaml, which is named after it"
        )
    import_formatter()
    if cfg.get("launcher", "none") != "none":
        join_processes(cfg)
    present = {hook["type"].rpartition(".")[2] for hook in cfg.get("custom_hooks") or () if isinstance(hook.get("type"), str)}
    added = [dict(type=f"mmstreet.{name}") for name in HOOKS if name not in present]
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or ()), *added]
    gc.freeze()  # mmengine collects garbage for each data set: 0.2 s for the objects of the frameworks, which stay anyway
    cfg = OnceFormatted.of(cfg)
    return Runner.from_cfg(cfg) if "runner_type" not in cfg else RUNNERS.build(cfg)


def sync_bn_to_bn(node: object) -> int:
    """Turn SyncBN into BN in a model config, in place, at any depth.

    mmengine does the same on built modules, but only in a single process, and ``MMSyncBN`` cannot even be built where mmcv has no ops.

    Args:
        node: A config: nested dicts and lists.

    Returns:
        Number of settings that were changed.
    """
    if isinstance(node, dict):
        changed = sum(sync_bn_to_bn(value) for value in node.values())
        kind = node.get("type")
        if kind is torch.nn.SyncBatchNorm or (isinstance(kind, str) and kind.rpartition(".")[2] in ("SyncBN", "MMSyncBN")):
            node["type"] = "BN"
            changed += 1
        return changed
    return sum(sync_bn_to_bn(value) for value in node) if isinstance(node, list | tuple) else 0


def _resolve_launcher(launcher: str) -> str:
    if launcher not in LAUNCHERS:
        raise LaunchError(f"launcher must be one of {', '.join(LAUNCHERS)}, not '{launcher}'")
    if launcher == "auto":
        return "pytorch" if {"RANK", "WORLD_SIZE", "LOCAL_RANK"} <= os.environ.keys() else "none"
    return launcher


def _set_resume(cfg: Config, resume: bool | str | Path) -> None:
    if resume is True:
        found = latest_checkpoint(cfg.work_dir)
        if found is None:
            print_log(f"no checkpoint in '{cfg.work_dir}' yet: training starts from the beginning", logger="current")
            cfg.resume = False
            return
    else:
        found = find_checkpoint(resume)
        if not is_complete(found):
            raise LaunchError(f"checkpoint '{found}' is not complete: its writing was interrupted; resume from an earlier one")
    cfg.resume = True
    cfg.load_from = str(found)


def _replace_hook(cfg: Config, hook: dict) -> None:
    """Add a hook in the place of another of its type."""
    name = hook["type"].rpartition(".")[2]
    others = [other for other in cfg.get("custom_hooks") or () if str(other.get("type")).rpartition(".")[2] != name]
    cfg.custom_hooks = [*others, hook]
