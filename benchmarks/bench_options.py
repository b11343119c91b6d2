"""What ``--amp``, ``--channels-last`` and ``--compile`` bring to a training step of v3 and of the light network, in ratios to float32.

On a CPU one thread is measured in processor time, on small images; on a GPU the clock, at full size (``python -m benchmarks.gpu``). The
ways take turns, and a ratio is that of the medians. Compilation is done before, and its time is in the note.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import torch

from benchmarks.gpu_training import make_step, pinned
from mmstreet.engine.hooks.device import DeviceHook
from mmstreet.engine.launch import load_config

CONFIGS = Path(__file__).parents[1] / "configs"
NAMES = ("deeplabv3_bdd_v3", "street_bdd")
OPTIONS = {
    "float32": {},
    "--amp": dict(amp=True),
    "--channels-last": dict(channels_last=True),
    "--amp --channels-last": dict(amp=True, channels_last=True),
    "--compile": dict(compiled=True),
    "--amp --channels-last --compile": dict(amp=True, channels_last=True, compiled=True),
}


def run(quick: bool = False) -> list[dict]:
    """Measure on the CPU; ``quick`` leaves compilation out."""
    logging.disable(logging.INFO)  # mmengine lists the settings of every weight
    torch.set_num_threads(1)
    names = [name for name in OPTIONS if not (quick and "compile" in name)]
    rows = []
    for config in NAMES:
        for row in measure(config, torch.device("cpu"), names, shrink=8 if config == NAMES[0] else 4, repeats=1 if quick else 5):
            rows.append(dict(name=row["what"], value=row["value"], unit="x", note=row["note"]))
    return rows


def measure(config: str, device: torch.device, names: list[str], *, shrink: int, repeats: int) -> list[dict]:
    """Return a row per option: its step in times of the float32 step."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    steps, first, seconds = {}, {}, {name: [] for name in names}
    for name in names:
        start = time.perf_counter()
        steps[name] = _build(config, OPTIONS[name], device, shrink)
        for _ in range(2):
            _timed(steps[name], time.perf_counter, device)
        first[name] = time.perf_counter() - start
    for _ in range(repeats):
        for name, step in steps.items():
            seconds[name].append(_timed(step, clock, device))
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    rows = []
    for name in names:
        note = f"{1e3 * min(seconds[name]):.1f} to {1e3 * max(seconds[name]):.1f} ms; ready in {first[name]:.0f} s"
        rows.append(dict(what=f"{config}: step with {name} / float32", value=middle[name] / middle["float32"], unit="×", note=note))
    return rows


def _build(config: str, options: dict, device: torch.device, shrink: int) -> Callable[[], None]:
    cfg = load_config(CONFIGS / f"{config}.py", launcher="none", **options)
    model, wrapper, batch = make_step(cfg, device, shrink=shrink)
    settings = {name: value for name, value in options.items() if name != "amp"}
    DeviceHook(**settings).before_run(SimpleNamespace(model=model, optim_wrapper=wrapper))
    batch = pinned(batch, device)
    return lambda: model.train_step(batch, wrapper)


def _timed(step: Callable[[], None], clock: Callable[[], float], device: torch.device) -> float:
    finish = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    finish()
    start = clock()
    step()
    finish()
    return clock() - start


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<80} {row['value']:6.2f}  {row['note']}")
