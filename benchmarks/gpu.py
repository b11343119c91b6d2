"""What a person with one GPU runs to see whether everything works on it, and how fast: ``python -m benchmarks.gpu``.

Parity of every loss and metric with the CPU, the waits for the device in a training step and in a metric's update, step time and memory of
every semantic BDD config beside plain mmseg with cross entropy on the same network and of every detector, predicted images per second, and
whether a resumed training equals one that was not stopped. No data set and no weights are read. A part that fails says so, and the others
go on; the exit code is 1 then. ``--device cpu --quick`` shows that it runs.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic matrix products need it before CUDA starts

import torch

from benchmarks import bench_options, gpu_detectors, gpu_parity, gpu_running, gpu_steps, gpu_training
from mmstreet.files.tables import markdown_table

PARTS = ("parity", "waits", "resume", "predict", "steps", "detectors", "options")


def main() -> int:
    """Run the parts, print each line when it is known, write the table, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: the GPU if there is one")
    parser.add_argument("--quick", action="store_true", help="few repeats and nothing compiled; on a CPU small images too")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help=f"some of {', '.join(PARTS)}")
    parser.add_argument("--no-compile", action="store_true", help="leave out compiled steps, each of which takes a minute before the first")
    names = gpu_steps.semantic_bdd_configs()
    parser.add_argument("--configs", nargs="+", choices=names, default=names, metavar="NAME", help="configs of the part steps")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/gpu.md"), help="file for the table (default: work_dirs/gpu.md)")
    args = parser.parse_args()
    logging.disable(logging.INFO)
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error(f"torch {torch.__version__} sees no CUDA device; take --device cpu to see that the command runs")
    jobs = {
        "parity": lambda: (*gpu_parity.compare_losses(device), *gpu_parity.compare_metrics(device)),
        "waits": lambda: gpu_training.count_waits(device),
        "resume": lambda: gpu_running.check_resume(device),
        "predict": lambda: gpu_running.measure_predictions(device, quick=args.quick),
        "steps": lambda: gpu_steps.measure_configs(device, names=args.configs, quick=args.quick),
        "detectors": lambda: gpu_detectors.measure_detectors(device, quick=args.quick),
        "options": lambda: _options(device, quick=args.quick, compiled=not (args.quick or args.no_compile)),
    }
    rows, failed, start = [], 0, time.monotonic()
    for part in PARTS:
        if part not in args.only:
            continue
        try:
            chosen = list(jobs[part]())
        except Exception as error:
            chosen = [lambda error=error: _raise(error)]
        for job in chosen:
            for row in _run(job):
                failed += row.get("failed", False)
                verdict = "**failed**" if row.get("failed") else ""
                value = "" if row.get("value") is None else f"{row['value']:.4g} {row.get('unit', '')}".strip()
                rows.append([part, row["what"], value, "; ".join(filter(None, [verdict, row.get("note")]))])
                print(f"{time.monotonic() - start:6.1f} s  " + " | ".join(rows[-1]), flush=True)
    text = markdown_table(["part", "measured", "value", "note"], rows)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    head = f"{name}, torch {torch.__version__}: `python -m benchmarks.gpu {' '.join(sys.argv[1:])}`, {time.monotonic() - start:.0f} s\n\n"
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(head + text + "\n")
    print(f"\n{head}{text}\n\n{args.out}: {len(rows)} lines, {failed} failed")
    return 1 if failed else 0


def _options(device: torch.device, *, quick: bool, compiled: bool) -> Iterator[Callable[[], list[dict]]]:
    names = [name for name in bench_options.OPTIONS if compiled or "compile" not in name]
    small = dict(shrink=8, repeats=1) if device.type == "cpu" else dict(shrink=1, repeats=4 if quick else 12)
    for config in bench_options.NAMES:
        yield lambda config=config: bench_options.measure(config, device, names, **small)


def _run(job) -> list[dict]:
    try:
        return job()
    # Whatever one part does not survive, the others are still worth their time on the machine.
    except Exception as error:
        traceback.print_exc()
        return [dict(what="error", note=f"{type(error).__name__}: {' '.join(str(error).split())[:300]}", failed=True)]


def _raise(error: Exception):
    raise error


if __name__ == "__main__":
    sys.exit(main())
