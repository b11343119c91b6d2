"""Checks that optimizer and schedules of a checkpoint are those of a config, before a training goes on with them."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from torch import Tensor

from mmstreet.engine.checkpoint_content import RECORD, expect, is_list, is_number, is_plain, kind_of
from mmstreet.engine.errors import LaunchError

_MOMENTS = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "square_avg", "grad_avg", "sum")
"""State of torch's optimizers that has the shape of the weight."""


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
    expect(isinstance(saved, Mapping), path, f"the optimizer's state in 'optimizer', but that is {kind_of(saved)}")
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
    expect(isinstance(theirs, type(ours)), path, f"schedulers in a {type(ours).__name__}, but 'param_schedulers' is {kind_of(theirs)}")
    if isinstance(ours, dict):
        if set(ours) != set(theirs):
            raise _differs(path, f"has schedules for {', '.join(map(str, theirs))}, but this config for {', '.join(ours)}")
        lists = [(ours[name], theirs[name]) for name in ours]
    else:
        lists = [(ours, theirs)]
    for schedulers, states in lists:
        expect(isinstance(states, Sequence), path, f"a list of schedulers, but that is {kind_of(states)}")
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
    sound = isinstance(groups, Sequence) and all(isinstance(group, Mapping) and is_list(group.get("params"), int) for group in groups)
    expect(sound and isinstance(values, Mapping), path, "the optimizer's 'state' and 'param_groups' in 'optimizer'")
    if len(groups) != len(optimizer.param_groups):
        raise _differs(
            path, f"was trained with {len(groups)} groups of weights, but this config's optimizer has {len(optimizer.param_groups)}"
        )
    if (there := _base_rates(groups)) != (here := _base_rates(optimizer.param_groups)):
        runner.logger.warning(f"training goes on from a learning rate of {there}, that of '{path}'; the config's, {here}, has no effect")
    weights = {}
    for theirs, ours in zip(groups, optimizer.param_groups):
        if len(theirs["params"]) != len(ours["params"]):
            raise _differs(path, f"was trained with {len(theirs['params'])} weights in a group that has {len(ours['params'])} here")
        foreign, lacking = set(theirs) - set(ours), set(optimizer.defaults) - set(theirs)
        if foreign and lacking:
            raise _differs(path, f"was trained with another optimizer than {kind}: it has {_listed(foreign)} and not {_listed(lacking)}")
        # Later releases of torch add flags, which torch itself fills in.
        needed = {name for name in lacking if not isinstance(optimizer.defaults[name], bool | type(None))}
        expect(not needed, path, f"the setting {_listed(needed)} of {kind} in its optimizer")
        for name in optimizer.defaults.keys() & theirs.keys():
            expect(
                _alike(theirs[name], ours[name]), path, f"a setting '{name}' like {ours[name]!r} in its optimizer, not {theirs[name]!r:.60}"
            )
        expect(is_number(theirs.get("lr")), path, f"a learning rate in its optimizer, not {theirs.get('lr')!r:.60}")
        weights |= dict(zip(theirs["params"], ours["params"]))
    names = {id(weight): name for name, weight in runner.model.named_parameters()}
    kept = set().union(*(moments for moments in values.values() if isinstance(moments, Mapping)))
    for index, moments in values.items():
        sound = isinstance(moments, Mapping) and index in weights and set(moments) == kept
        expect(sound, path, f"the same state of every weight in its optimizer, which differs for weight {index!r:.40}")
        step = moments.get("step", 0)
        expect(is_number(step) and step >= 0, path, f"a number of steps in its optimizer, not {step!r:.60}")
        for name in moments.keys() & set(_MOMENTS):
            moment, weight = moments[name], weights[index]
            sound = moment is None or (is_plain(moment) and moment.shape == weight.shape)
            what = list(moment.shape) if isinstance(moment, Tensor) else kind_of(moment)
            expect(sound, path, f"'{name}' of {list(weight.shape)} for '{names.get(id(weight), index)}' in its optimizer, not {what}")
            finite = moment is None or torch.isfinite(moment).all()
            expect(finite, path, f"finite numbers in its optimizer's '{name}' of '{names.get(id(weight), index)}'")


def _base_rates(groups: Sequence[Mapping]) -> str:
    """The learning rates before any schedule, each once."""
    rates = [group.get("initial_lr", group.get("lr")) for group in groups]
    return ", ".join(f"{rate:g}" for rate in sorted({float(rate) for rate in rates if is_number(rate)})) or "none"


def _check_scheduler(scheduler: object, state: object, path: str | Path) -> None:
    kind, ours = type(scheduler).__name__, scheduler.state_dict()
    expect(isinstance(state, Mapping), path, f"the state of {kind}, but that is {kind_of(state)}")
    if set(state) != set(ours):
        raise _differs(path, f"was trained with another schedule than {kind} (their states differ in {_listed(set(state) ^ set(ours))})")
    for name, value in ours.items():
        expect(_alike(state[name], value), path, f"'{name}' of {kind} like {value!r:.60}, not {state[name]!r:.60}")


def _differs(path: str | Path, what: str) -> LaunchError:
    return LaunchError(f"checkpoint '{path}' {what}; resume with the config it was trained with, or start from its weights with load_from")


def _alike(value: object, other: object) -> bool:
    """Whether two settings are of one kind: numbers are, lists are where their items are, and ``None`` may stand for a flag."""
    if other is None or value is None:
        return other is None or isinstance(other, bool)
    if isinstance(other, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(other) and all(map(_alike, value, other))
    if isinstance(other, numbers.Number | Tensor):
        return is_number(value)
    return isinstance(value, type(other))


def _listed(names: set) -> str:
    return ", ".join(sorted(map(str, names))[:3]) or "nothing"
