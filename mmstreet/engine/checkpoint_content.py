"""Is what a file holds a checkpoint of a model, and can a training go on from it? Said before any of it is used."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from mmstreet.engine.errors import LaunchError

RECORD = "mmstreet_training"
"""Entry of a checkpoint that names what trained it; see :func:`describe_training`."""
_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg", "sum")
"""State of torch's optimizers that has the shape of the weight."""


def check_content(checkpoint: object, path: str | Path) -> None:
    """Refuse what is no checkpoint of a model, and weights that are not finite.

    Args:
        checkpoint: What the file holds.
        path: The file, for the message.

    Raises:
        LaunchError: In one sentence that names the file, the entry and what was expected.
    """
    _expect(isinstance(checkpoint, Mapping), path, f"a dict with 'state_dict', but it holds {_kind(checkpoint)}")
    weights = checkpoint.get("state_dict", checkpoint)
    _expect(isinstance(weights, Mapping), path, f"a dict of tensors in 'state_dict', but that is {_kind(weights)}")
    _expect(len(weights) > 0, path, "weights, but it has none")
    for name, value in weights.items():
        _expect(isinstance(name, str), path, f"weights by name, but one is called {name!r:.40}")
        if name.endswith("_extra_state"):  # what a module stores of itself, of any type
            continue
        advice = "" if "state_dict" in checkpoint else " (there is no 'state_dict')"
        _expect(_is_plain(value), path, f"tensors only as weights, but '{name:.60}' is {_kind(value)}{advice}")
        if (value.is_floating_point() or value.is_complex()) and not torch.isfinite(value).all():
            raise LaunchError(
                f"checkpoint '{path}' is not sound: its weight '{name}' has values that are infinite or not a number; "
                "use a checkpoint from before the training broke"
            )
    meta = checkpoint.get("meta", {})
    _expect(isinstance(meta, Mapping), path, f"a dict in 'meta', but that is {_kind(meta)}")
    of_dataset = {} if meta.get("dataset_meta") is None else meta["dataset_meta"]
    _expect(isinstance(of_dataset, Mapping), path, f"a dict in meta['dataset_meta'], but that is {_kind(of_dataset)}")
    for key, value in of_dataset.items():
        if str(key).lower() == "classes" and value is not None:
            _expect(_is_list(value, str), path, f"a list of class names in meta['dataset_meta']['{key}'], but that is {value!r:.60}")
        if str(key).lower() == "palette" and value is not None:
            _expect(_is_palette(value), path, f"RGB of each class in meta['dataset_meta']['{key}'], but that is {value!r:.60}")


def check_resumable(checkpoint: Mapping, path: str | Path) -> None:
    """Refuse a checkpoint whose record of the training is missing or of wrong types.

    Args:
        checkpoint: Content of the file, after :func:`check_content`.
        path: The file, for the message.

    Raises:
        LaunchError: In one sentence that names the file, the entry and what was expected.
    """
    meta = checkpoint.get("meta", {})
    for key in ("epoch", "iter"):
        text = f"how far training came in meta['{key}']"
        _expect(key in meta, path, f"{text}, which is missing: files of weights only cannot be resumed, name them in load_from instead")
        _expect(_is_count(meta[key]), path, f"{text}, but that is {meta[key]!r:.60}")
    seed = meta.get("seed")
    _expect(seed is None or _is_count(seed), path, f"a whole number in meta['seed'], but that is {seed!r:.60}")
    hub = checkpoint.get("message_hub")
    for key in ("log_scalars", "runtime_info", "resumed_keys"):
        part = hub.get(key) if isinstance(hub, Mapping) else None
        _expect(isinstance(part, Mapping), path, f"the training's log in message_hub['{key}'], but that is {_kind(part)}")
        _expect(all(isinstance(name, str) for name in part), path, f"names as keys of message_hub['{key}']")
    for name, buffer in hub["log_scalars"].items():
        sound = isinstance(buffer, HistoryBuffer) and isinstance(getattr(buffer, "_log_history", None), np.ndarray)
        _expect(sound, path, f"the history of '{name:.40}' in message_hub['log_scalars'], but that is {_kind(buffer)}")
    for key, value in hub["runtime_info"].items():
        if key.startswith("best_score"):
            _expect(_is_number(value), path, f"a number in the log's '{key:.60}', but that is {value!r:.60}")
        elif key.startswith("best_ckpt") or key == "last_ckpt":
            _expect(value is None or isinstance(value, str), path, f"a path in the log's '{key:.60}', but that is {value!r:.60}")
        elif key == "keep_ckpt_ids":
            sound = isinstance(value, Sequence) and all(map(_is_count, value))
            _expect(sound, path, f"numbers of checkpoints in the log's '{key}', but that is {value!r:.60}")
    for key in ("mmstreet_replay", "mmstreet_schedule", RECORD):
        record = checkpoint.get(key, {})
        sound = isinstance(record, Mapping) and all(isinstance(value, str) or _is_count(value) for value in record.values())
        _expect(sound, path, f"a dict of numbers and names in '{key}', but that is {record!r:.60}")


def check_training_state(runner: Runner, checkpoint: Mapping, path: str | Path) -> None:
    """Refuse to resume with another optimizer or schedule than the checkpoint was trained with.

    Args:
        runner: With optimizer and schedulers built.
        checkpoint: Content of the file, after :func:`check_resumable`.
        path: The file, for the message.

    Raises:
        LaunchError: In one sentence that says what differs.
    """
    there, here = checkpoint.get(RECORD, {}), describe_training(runner)
    for part in ("optimizer", "schedulers"):
        if part in there and there[part] != here[part]:
            raise _differs(path, f"was trained with the {part} {there[part] or 'none'}, but this config has {here[part] or 'none'}")
    wrapper = runner.optim_wrapper
    saved = checkpoint.get("optimizer", {})
    _expect(isinstance(saved, Mapping), path, f"the optimizer's state in 'optimizer', but that is {_kind(saved)}")
    several = isinstance(wrapper, OptimWrapperDict)
    pairs = {name: (part, saved.get(name)) for name, part in wrapper.items()} if several else {"": (wrapper, saved)}
    if saved:
        if several and set(saved) != set(pairs):
            raise _differs(path, f"has optimizers for {', '.join(map(str, saved))}, but this config for {', '.join(pairs)}")
        for part, state in pairs.values():
            _check_optimizer(part.optimizer, state, runner, path)
    ours, theirs = runner.param_schedulers, checkpoint.get("param_schedulers")
    if ours is None or theirs is None:
        return
    _expect(isinstance(theirs, type(ours)), path, f"schedulers in a {type(ours).__name__}, but 'param_schedulers' is {_kind(theirs)}")
    if isinstance(ours, dict):
        if set(ours) != set(theirs):
            raise _differs(path, f"has schedules for {', '.join(map(str, theirs))}, but this config for {', '.join(ours)}")
        lists = [(ours[name], theirs[name]) for name in ours]
    else:
        lists = [(ours, theirs)]
    for schedulers, states in lists:
        _expect(isinstance(states, Sequence), path, f"a list of schedulers, but that is {_kind(states)}")
        if len(schedulers) != len(states):
            raise _differs(path, f"was trained with {len(states)} schedulers, but this config has {len(schedulers)}")
        for scheduler, state in zip(schedulers, states):
            _check_scheduler(scheduler, state, path)


def describe_training(runner: Runner) -> dict[str, str]:
    """Name the optimizer and the schedulers of a runner, for :data:`RECORD`."""
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers
    named = wrapper.items() if isinstance(wrapper, OptimWrapperDict) else [("", wrapper)]
    lists = schedulers.items() if isinstance(schedulers, dict) else [("", schedulers or ())]
    return {
        "optimizer": ", ".join(f"{name} {type(part.optimizer).__name__}".strip() for name, part in named),
        "schedulers": ", ".join(f"{name} {type(scheduler).__name__}".strip() for name, part in lists for scheduler in part),
    }


def _check_optimizer(optimizer: torch.optim.Optimizer, state: object, runner: Runner, path: str | Path) -> None:
    kind = type(optimizer).__name__
    groups = state.get("param_groups") if isinstance(state, Mapping) else None
    values = state.get("state") if isinstance(state, Mapping) else None
    sound = isinstance(groups, Sequence) and all(isinstance(group, Mapping) and _is_list(group.get("params"), int) for group in groups)
    _expect(sound and isinstance(values, Mapping), path, "the optimizer's 'state' and 'param_groups' in 'optimizer'")
    if len(groups) != len(optimizer.param_groups):
        raise _differs(
            path, f"was trained with {len(groups)} groups of weights, but this config's optimizer has {len(optimizer.param_groups)}"
        )
    weights = {}
    for theirs, ours in zip(groups, optimizer.param_groups):
        if len(theirs["params"]) != len(ours["params"]):
            raise _differs(path, f"was trained with {len(theirs['params'])} weights in a group that has {len(ours['params'])} here")
        foreign, lacking = set(theirs) - set(ours), set(optimizer.defaults) - set(theirs)
        if foreign and lacking:
            raise _differs(path, f"was trained with another optimizer than {kind}: it has {_listed(foreign)} and not {_listed(lacking)}")
        # Later releases of torch add flags, which torch itself fills in.
        needed = {name for name in lacking if not isinstance(optimizer.defaults[name], bool | type(None))}
        _expect(not needed, path, f"the setting {_listed(needed)} of {kind} in its optimizer")
        for name in optimizer.defaults.keys() & theirs.keys():
            _expect(
                _alike(theirs[name], ours[name]), path, f"a setting '{name}' like {ours[name]!r} in its optimizer, not {theirs[name]!r:.60}"
            )
        _expect(_is_number(theirs.get("lr")), path, f"a learning rate in its optimizer, not {theirs.get('lr')!r:.60}")
        weights |= dict(zip(theirs["params"], ours["params"]))
    names = {id(weight): name for name, weight in runner.model.named_parameters()}
    kept = set().union(*(moments for moments in values.values() if isinstance(moments, Mapping)))
    for index, moments in values.items():
        sound = isinstance(moments, Mapping) and index in weights and set(moments) == kept
        _expect(sound, path, f"the same state of every weight in its optimizer, which differs for weight {index!r:.40}")
        step = moments.get("step", 0)
        _expect(_is_number(step) and step >= 0, path, f"a number of steps in its optimizer, not {step!r:.60}")
        for name in moments.keys() & set(_MOMENTS):
            moment, weight = moments[name], weights[index]
            sound = moment is None or (_is_plain(moment) and moment.shape == weight.shape)
            what = list(moment.shape) if isinstance(moment, Tensor) else _kind(moment)
            _expect(sound, path, f"'{name}' of {list(weight.shape)} for '{names.get(id(weight), index)}' in its optimizer, not {what}")
            finite = moment is None or torch.isfinite(moment).all()
            _expect(finite, path, f"finite numbers in its optimizer's '{name}' of '{names.get(id(weight), index)}'")


def _check_scheduler(scheduler: object, state: object, path: str | Path) -> None:
    kind, ours = type(scheduler).__name__, scheduler.state_dict()
    _expect(isinstance(state, Mapping), path, f"the state of {kind}, but that is {_kind(state)}")
    if set(state) != set(ours):
        raise _differs(path, f"was trained with another schedule than {kind} (their states differ in {_listed(set(state) ^ set(ours))})")
    for name, value in ours.items():
        _expect(_alike(state[name], value), path, f"'{name}' of {kind} like {value!r:.60}, not {state[name]!r:.60}")


def _differs(path: str | Path, what: str) -> LaunchError:
    return LaunchError(f"checkpoint '{path}' {what}; resume with the config it was trained with, or start from its weights with load_from")


def _expect(holds: object, path: str | Path, what: str) -> None:
    if not holds:
        raise LaunchError(f"checkpoint '{path}' is not what it should be: expected {' '.join(what.split())}")


def _alike(value: object, other: object) -> bool:
    """Whether two settings are of one kind: numbers are, lists are where their items are, and ``None`` may stand for a flag."""
    if other is None or value is None:
        return other is None or isinstance(other, bool)
    if isinstance(other, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(other) and all(map(_alike, value, other))
    if isinstance(other, numbers.Number | Tensor):
        return _is_number(value)
    return isinstance(value, type(other))


def _is_plain(value: object) -> bool:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized and value.device.type != "meta"


def _is_number(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and bool(torch.isfinite(value).all())
    return isinstance(value, numbers.Real | np.number | np.bool_) and not math.isnan(value)


def _is_count(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_list(value: object, kind: type) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(item, kind) for item in value)


def _is_palette(value: object) -> bool:
    rows = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(rows, list | tuple):
        return False
    return all(_is_list(row, int) and len(row) == 3 and all(0 <= channel <= 255 for channel in row) for row in rows)


def _kind(value: object) -> str:
    name = "None" if value is None else type(value).__name__
    return name if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _listed(names: set) -> str:
    return ", ".join(sorted(map(str, names))[:3]) or "nothing"
