"""Checkpoints that are no checkpoints, cut, of wrong types, not finite, or made to run code."""

from __future__ import annotations

import copy
import pickle
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from mmstreet.cli.test import main as test
from mmstreet.engine.launch import build_runner
from mmstreet.engine.safe_load import read_checkpoint
from mmstreet.predict.inference import load_trained
from tests.helpers.tiny_runs import tiny_config
from tests.helpers.tiny_segmentation import tiny_segmentation, write_dataset
from tests.hostile.kinds import Cases, hostile


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def damaged(data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Damage a file in every way that a disk, a download or a wrong name does."""
    yield "empty file", b""
    yield "text", b"this is not a checkpoint\n"
    yield "random bytes", rng.bytes(3000)
    yield "a pickle of an int", pickle.dumps(3)
    yield "an HTML page", b"<!DOCTYPE html><html><body>404</body></html>"
    for share in (0.01, 0.3, 0.7, 0.99):
        yield f"cut at {share:.0%}", data[: int(len(data) * share)]
    start = data.find(b"PK\x01\x02")
    for i in range(12):
        place = int(rng.integers(60, start))
        yield f"bit {i} flipped at {place}", data[:place] + struct.pack("B", data[place] ^ 1 << int(rng.integers(8))) + data[place + 1 :]


@hostile("checkpoint files: damaged")
def damaged_files(folder: Path, rng: np.random.Generator) -> Cases:
    path = folder / "sound.pth"
    torch.save({"state_dict": {"w": torch.arange(2000.0)}, "meta": {"epoch": 1}}, path)
    for i, (label, data) in enumerate(damaged(path.read_bytes(), rng)):
        file = folder / f"{i}.pth"
        file.write_bytes(data)
        yield label, _read(file)


def _read(path: Path) -> Callable[[], None]:
    def read() -> None:
        # A flipped bit in the padding between the parts of the archive changes nothing.
        assert torch.equal(read_checkpoint(path)["state_dict"]["w"], torch.arange(2000.0)), "other weights were read"

    return read


def contents(sound: dict, rng: np.random.Generator, read: Sequence[str]) -> Iterator[tuple[str, object]]:
    """Yield contents of wrong types in every place that a reader looks at, as a whole and below the entries that it reads."""
    for value in WRONG:
        yield f"{_short(value)} instead of a checkpoint", value
    yield "nothing but lists", {"state_dict": [1, 2], "meta": []}
    yield "no weights", {"state_dict": {}, "meta": sound["meta"]}
    yield "weights under another name", {"model": sound["state_dict"]}
    yield "the weights of another model", sound | {"state_dict": {"conv.weight": torch.zeros(2, 2)}}
    for place in (place for place in PLACES if place[0] in read):
        for value in rng.permutation(len(WRONG))[:4]:
            yield f"{_short(WRONG[value])} as {'.'.join(map(str, place))}", _with(sound, place, WRONG[value])
        yield f"without {'.'.join(map(str, place))}", _with(sound, place, ABSENT)


WRONG = (
    None,
    3,
    -1,
    2.5,
    float("nan"),
    "text",
    [],
    [1, "a"],
    {},
    {"a": 1},
    {1: 2},
    torch.zeros(3),
    torch.tensor(float("nan")),
    True,
    10**30,
)
ABSENT = object()
WEIGHTS = ("meta", "state_dict")
"""What is read of a checkpoint to load its weights."""
PLACES = (
    ("meta",),
    ("meta", "epoch"),
    ("meta", "iter"),
    ("meta", "seed"),
    ("meta", "config"),
    ("meta", "cfg"),
    ("meta", "dataset_meta"),
    ("meta", "dataset_meta", "classes"),
    ("meta", "dataset_meta", "palette"),
    ("state_dict",),
    ("state_dict", 7),
    ("message_hub",),
    ("message_hub", "log_scalars"),
    ("message_hub", "log_scalars", "train/loss"),
    ("message_hub", "runtime_info"),
    ("message_hub", "runtime_info", "best_score"),
    ("message_hub", "runtime_info", "best_ckpt"),
    ("message_hub", "runtime_info", "keep_ckpt_ids"),
    ("message_hub", "runtime_info", "max_epochs"),
    ("message_hub", "resumed_keys"),
    ("optimizer",),
    ("optimizer", "state"),
    ("optimizer", "state", 0),
    ("optimizer", "state", 0, "exp_avg"),
    ("optimizer", "state", 0, "step"),
    ("optimizer", "param_groups"),
    ("optimizer", "param_groups", 0),
    ("optimizer", "param_groups", 0, "lr"),
    ("optimizer", "param_groups", 0, "betas"),
    ("optimizer", "param_groups", 0, "params"),
    ("param_schedulers",),
    ("param_schedulers", 0),
    ("param_schedulers", 0, "last_step"),
    ("param_schedulers", 0, "base_values"),
    ("param_schedulers", 0, "end"),
    ("mmstreet_replay",),
    ("mmstreet_replay", "batches_done"),
    ("mmstreet_training",),
    ("mmstreet_training", "optimizer"),
)


def _with(content: object, place: tuple, value: object) -> object:
    """Copy nested dicts and lists with one entry replaced, or left out."""
    key, rest = place[0], place[1:]
    if not isinstance(content, dict | list):  # this kind of checkpoint lacks the place
        return content
    copied = type(content)(content) if isinstance(content, list) else dict(content)
    if rest:
        copied[key] = _with(copied[key] if isinstance(copied, list) or key in copied else {}, rest, value)
    elif value is ABSENT:
        copied.pop(key) if isinstance(copied, list) else copied.pop(key, None)
    else:
        copied[key] = value
    return copied


def _short(value: object) -> str:
    return repr(value).replace("\n", "")[:30]


def _cases(folder: Path, rng: np.random.Generator, sound: dict, use: Callable[[Path, int], object], read: Sequence[str] = WEIGHTS) -> Cases:
    for i, (label, content) in enumerate(contents(sound, rng, read)):
        yield label, _saved(content, folder / f"{i}.pth", lambda path, i=i: use(path, i))
    victim = folder / "written by the checkpoint"
    for i, (label, content) in enumerate(
        (
            ("code in its pickle", sound | {"x": Payload(victim)}),
            ("code in its config", _with(sound, ("meta", "config"), f"open({str(victim)!r}, 'w').close()")),
        )
    ):

        def check(path: Path, i: int = i) -> None:
            try:
                use(path, 1000 + i)
            finally:
                assert not victim.exists(), "the code was run"

        yield label, _saved(content, folder / f"code{i}.pth", check)


def _saved(content: object, path: Path, use: Callable[[Path], object]) -> Callable[[], object]:
    def call() -> object:
        torch.save(content, path)
        return use(path)

    return call


def _train(work_dir: Path, *, resume: bool = False, load_from: Path | None = None, **settings) -> None:
    cfg = tiny_config(work_dir, epochs=2 if resume else 1, validate=True)
    cfg.default_hooks.checkpoint |= dict(save_best="accuracy", rule="greater", max_keep_ckpts=1)
    cfg.custom_hooks.append(dict(type="mmstreet.LoadFromHook"))
    cfg.log_level = "CRITICAL"
    cfg.resume, cfg.load_from = resume, load_from and str(load_from)
    cfg.merge_from_dict(settings)
    build_runner(cfg).train()


@hostile("checkpoint contents: train --resume")
def resumed(folder: Path, rng: np.random.Generator) -> Cases:
    _train(folder / "sound")
    sound = read_checkpoint(folder / "sound/epoch_1.pth")
    yield from _cases(folder, rng, sound, lambda path, i: _train(folder / f"work{i}", resume=True, load_from=path), sound)


@hostile("checkpoint contents: train from weights")
def loaded(folder: Path, rng: np.random.Generator) -> Cases:
    _train(folder / "sound")
    sound = read_checkpoint(folder / "sound/epoch_1.pth")
    yield from _cases(folder, rng, sound, lambda path, i: _train(folder / f"work{i}", load_from=path))


def _segmentor(folder: Path) -> tuple[Path, dict]:
    """Train the tiny segmentor for an epoch; return its config file and what its checkpoint holds."""
    write_dataset(folder / "data", count=2)
    write_dataset(folder / "data", split="val", count=1)
    cfg = tiny_segmentation(folder / "data", folder / "trained", epochs=1)
    cfg.test_dataloader, cfg.test_cfg, cfg.test_evaluator = cfg.val_dataloader, dict(type="TestLoop"), cfg.val_evaluator
    cfg.test_pipeline = cfg.val_dataloader.dataset.pipeline
    cfg.log_level = "CRITICAL"
    cfg.dump(str(folder / "tiny.py"))
    build_runner(cfg).train()
    return folder / "tiny.py", read_checkpoint(folder / "trained/epoch_1.pth")


@hostile("checkpoint contents: test")
def tested(folder: Path, rng: np.random.Generator) -> Cases:
    config, sound = _segmentor(folder)
    yield from _cases(folder, rng, sound, lambda path, i: test([str(config), str(path), "--work-dir", str(folder / f"work{i}")]))


@hostile("checkpoint contents: predict, export")
def predicted(folder: Path, rng: np.random.Generator) -> Cases:
    config, sound = _segmentor(folder)
    yield from _cases(folder, rng, sound, lambda path, i: load_trained(config, path, device="cpu"))


OTHERS = {
    "model": {"model": dict(type="DropoutNet", batch_norm=False)},
    "optimizer": {"optim_wrapper.optimizer": dict(_delete_=True, type="SGD", lr=0.1, momentum=0.9)},
    "schedule": {"param_scheduler": [dict(type="StepLR", step_size=1)]},
    "number of schedules": {"param_scheduler": [dict(type="LinearLR", end=1), dict(type="PolyLR", begin=1)]},
    "groups of weights": {"optim_wrapper.paramwise_cfg": dict(bias_lr_mult=2.0)},
    "loop": {"train_cfg": dict(_delete_=True, by_epoch=False, max_iters=2)},
}


@hostile("checkpoints of another config: train --resume", refused=True)
def of_another_config(folder: Path, rng: np.random.Generator) -> Cases:
    for name, settings in OTHERS.items():
        for recorded in (True, False):

            def call(name: str = name, settings: dict = settings, recorded: bool = recorded) -> None:
                path = folder / "sound/epoch_1.pth"
                if not path.exists():
                    _train(folder / "sound")
                content = read_checkpoint(path)
                if not recorded:  # as mmengine alone writes it
                    content.pop("mmstreet_training")
                other = folder / f"{name}{recorded}.pth"
                torch.save(content, other)
                _train(folder / f"{name}{recorded}", resume=True, load_from=other, **copy.deepcopy(settings))

            yield f"another {name}, {'recorded' if recorded else 'not recorded'}", call
