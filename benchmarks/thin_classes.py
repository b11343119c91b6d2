"""What helps thin and rare classes? One change at a time on a small pretrained network, CamVid train to val, several seeds each.

    python -m benchmarks.thin_classes --data data/camvid11 --background

trains the baseline, every change of ``thin_variants.py`` alone, and at the end the changes that helped together. All runs see the same
number of images. Each finished run is one line of ``<out>/runs.jsonl``; the table of mean ± standard deviation goes to
``<out>/table.md`` after each. Runs that are done are not repeated, and one that was stopped goes on from its last epoch. The runs of
docs/results.md are in ``benchmarks/thin_classes.jsonl``: copied to ``<out>/runs.jsonl``, they count as done. With a GPU: ``--epochs 60
--crop 256 352 --workers 2 --jobs 6``, six runs side by side. ``--quick`` trains two runs for two iterations, to see that it works.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import METRICS

from benchmarks.thin_variants import BASELINE, BEST, CHANGES, THIN, apply_changes, best_combination
from mmstreet.engine.launch import build_runner, load_config
from mmstreet.evaluation.run_record import describe_machine
from mmstreet.files import confusion_scores
from mmstreet.files.tables import markdown_table
from mmstreet.metrics.functional import boundary_confusion

ROOT = Path(__file__).parents[1]
COLUMNS = {"mIoU": "mIoU", "thin four": "thin", **{name: f"IoU/{name}" for name in THIN}, "boundary IoU": "boundary_IoU", "ECE": "ECE"}
BINS = 15


@METRICS.register_module(force=True)
class BoundaryAndCalibration(BaseMetric):
    """Boundary IoU with bands of 3 px, and expected calibration error of the valid pixels in 15 bins; both in per cent."""

    default_prefix = ""

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            labels, preds = (sample[name]["data"].reshape(sample[name]["data"].shape[-2:]).cpu() for name in ("gt_sem_seg", "pred_sem_seg"))
            bands = boundary_confusion(labels, preds, num_classes=len(self.dataset_meta["classes"]), radius_px=3)
            sure = sample["seg_logits"]["data"].float().cpu().softmax(0).amax(0)
            valid = labels != 255
            place = (sure[valid] * BINS).long().clamp(max=BINS - 1)
            right = (preds == labels)[valid].double()
            sums = [torch.zeros(BINS, dtype=torch.float64).index_add_(0, place, values) for values in (right, sure[valid].double())]
            self.results.append((bands.numpy(), torch.stack(sums).numpy(), int(valid.sum())))

    def compute_metrics(self, results: list) -> dict[str, float]:
        bands, sums, pixels = (sum(values) for values in zip(*results, strict=True))
        edges = confusion_scores.mean_present(confusion_scores.iou_per_class(bands, convention="mmseg"))
        return {"boundary_IoU": 100 * edges, "ECE": 100 * float(np.abs(sums[0] - sums[1]).sum() / pixels)}


class KeepMetrics(Hook):
    """Remember what the last validation scored."""

    metrics: dict | None = None

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.metrics = metrics


def train(name: str, work_dir: Path, changes: Sequence[str], seed: int, args: argparse.Namespace) -> None:
    """Train and score one run, and append it to the file of runs."""
    start = time.perf_counter()
    cfg = load_config("street_camvid", work_dir=work_dir, epochs=args.epochs, resume=True, amp=args.amp)
    apply_changes(cfg, changes, crop_hw=tuple(args.crop))
    cfg.randomness.seed = seed
    cfg.train_cfg.val_interval = args.epochs
    cfg.default_hooks.checkpoint = dict(type="mmstreet.AtomicCheckpointHook", interval=1, by_epoch=True, max_keep_ckpts=1)
    cfg.val_evaluator = [cfg.val_evaluator, dict(type="BoundaryAndCalibration")]
    cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    for loader, indices in ((cfg.train_dataloader, 16), (cfg.val_dataloader, 2)):
        loader.update(num_workers=args.workers, persistent_workers=args.workers > 0)
        files = loader.dataset.get("dataset", loader.dataset)
        files.update(data_root=str(args.data), **(dict(indices=indices) if args.quick else {}))
    runner = build_runner(cfg)
    kept = KeepMetrics()
    runner.register_hook(kept)
    runner.train()
    metrics = kept.metrics or runner.val_loop.run()  # a run that was stopped after its last validation
    line = dict(
        run=name,
        changes=list(changes),
        seed=seed,
        **settings_of(args),
        images=runner.iter * cfg.train_dataloader.batch_size,
        metrics={**metrics, "thin": statistics.mean(metrics[f"IoU/{name}"] for name in THIN)},
        seconds_of_last_start=round(time.perf_counter() - start, 1),
        machine=describe_machine(),
    )
    path = args.out / "runs.jsonl"
    cut_off = path.exists() and not path.read_bytes().endswith(b"\n")  # by a kill during a write
    with open(path, "a", encoding="utf-8") as file:
        file.write("\n" * cut_off + json.dumps(line) + "\n")
    runner.save_checkpoint(str(work_dir), "final.pth", save_optimizer=False)
    for path in work_dir.glob("epoch_*.pth"):
        path.unlink()


def settings_of(args: argparse.Namespace) -> dict:
    """What runs have to share to stand in one table."""
    return {"epochs": args.epochs, "crop": list(args.crop), "amp": args.amp, "quick": args.quick}


def read_runs(args: argparse.Namespace) -> list[dict]:
    """Read the runs that are done with these settings; a line that a kill cut off is left out."""
    path, runs = args.out / "runs.jsonl", []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            run = json.loads(line)
        except json.JSONDecodeError:
            continue
        if {key: run[key] for key in settings_of(args)} == settings_of(args):
            runs.append(run)
    return runs


def make_table(runs: Sequence[Mapping]) -> str:
    """Lay out mean ± standard deviation over the runs of each kind, a line each; gains of thin classes are as in :func:`gains_of_thin`."""
    by_run: dict[str, list[Mapping]] = {}
    for run in runs:
        by_run.setdefault(run["run"], []).append(run)
    gains = gains_of_thin(runs)
    rows = []
    for name in dict.fromkeys((BASELINE, *CHANGES, BEST, *by_run)):
        if name in by_run:
            values = {title: [run["metrics"][key] for run in by_run[name]] for title, key in COLUMNS.items()}
            gain = _spread(gains[name], "+") if name in gains else None
            text = CHANGES[name].text if name in CHANGES else " + ".join(by_run[name][0]["changes"])
            rows.append([name, str(len(by_run[name])), gain, *map(_spread, values.values()), text])
    return markdown_table(["run", "runs", "thin four, gain", *COLUMNS, "change"], rows)


def gains_of_thin(runs: Sequence[Mapping]) -> dict[str, list[float]]:
    """Return, by run, how much better its thin classes are than the baseline's, a number for each run whose baseline ran alike.

    A seed draws the same first weights and images for all runs, and the baseline alone moves by 5 points between seeds: a run is compared
    with the baseline of its seed, and of its machine, since machines round differently and a training makes much of it.
    """
    base = {_draw(run): run["metrics"]["thin"] for run in runs if run["run"] == BASELINE}
    gains: dict[str, list[float]] = {}
    for run in runs:
        if run["run"] != BASELINE and _draw(run) in base:
            gains.setdefault(run["run"], []).append(run["metrics"]["thin"] - base[_draw(run)])
    return gains


def _draw(run: Mapping) -> tuple[int, str, str]:
    return run["seed"], run["machine"]["GPU"], run["machine"]["processor"]


def _spread(values: Sequence[float], sign: str = "") -> str:
    return f"{statistics.mean(values):{sign}.2f}" + (f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else "")


def plan_changes(args: argparse.Namespace) -> list[tuple[str, list[str], int]]:
    """List run, changes and seed of the baseline and of each change alone; all runs with the first seed come first."""
    if args.together:
        return [("+".join(args.together), list(args.together), seed) for seed in range(args.seeds)]
    chosen = args.only or (["boundary"] if args.quick else CHANGES)
    names = [BASELINE, *(name for name in CHANGES if name in chosen)]
    return [(name, [] if name == BASELINE else [name], seed) for seed in range(args.seeds) for name in names]


def plan_best(args: argparse.Namespace) -> list[tuple[str, list[str], int]]:
    """List the runs of the changes that helped alone; none if fewer than two did."""
    together = (
        []
        if args.quick or args.together
        else best_combination({name: statistics.mean(gains) for name, gains in gains_of_thin(read_runs(args)).items()})
    )
    return [(BEST, together, seed) for seed in range(args.seeds)] if len(together) > 1 else []


def write_table(args: argparse.Namespace) -> None:
    """Write and print the table of the runs that are done, and the command."""
    table = make_table(read_runs(args))
    command = " ".join(["python -m benchmarks.thin_classes", *sys.argv[1:]])
    (args.out / "table.md").write_text(f"{table}\n\n`{command}`\n", encoding="utf-8")
    print(table, flush=True)


def run_alone(call: Callable, *arguments: object) -> object:
    """Call a function in a process of its own; a pool that renews its processes may wait for ever (CPython issue 115634)."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as one:
        return one.submit(call, *arguments).result()


def work(runs: Sequence[tuple[str, list[str], int]], args: argparse.Namespace) -> None:
    """Train those of the runs that are not done, ``args.jobs`` at a time, each in a process of its own; write the table after each."""
    done = read_runs(args)
    left = [run for run in runs if not any((line["run"], line["changes"], line["seed"]) == run for line in done)]
    with ThreadPoolExecutor(args.jobs) as pool:
        futures = {}
        for name, changes, seed in left:
            folder = args.out / ("+".join(changes) if name == BEST else name) / f"seed_{seed}"
            futures[pool.submit(run_alone, train, name, folder, changes, seed, args)] = f"run '{name}' with seed {seed}"
        for future in as_completed(futures):
            if future.exception():
                pool.shutdown(wait=False, cancel_futures=True)
                raise SystemExit(
                    f"{futures[future]} failed; the same command goes on where it stopped. It said: {future.exception()!r}"
                ) from future.exception()
            write_table(args)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "camvid11", help="CamVid's folder, default: data/camvid11")
    parser.add_argument("--out", type=Path, default=ROOT / "work_dirs" / "thin_classes", help="default: work_dirs/thin_classes")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the training frames (default: 10)")
    parser.add_argument("--crop", type=int, nargs=2, default=[192, 256], metavar=("H", "W"), help="size of a crop (default: 192 256)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind (default: 3)")
    parser.add_argument("--only", nargs="+", choices=CHANGES, metavar="CHANGE", help=f"some of {', '.join(CHANGES)}")
    parser.add_argument("--together", nargs="+", choices=CHANGES, metavar="CHANGE", help="one run per seed with all of these, nothing else")
    parser.add_argument("--workers", type=int, default=1, help="loader processes of a run (default: 1)")
    parser.add_argument("--jobs", type=int, default=1, help="runs side by side (default: 1)")
    parser.add_argument("--amp", action="store_true", help="mixed precision")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="runs of two iterations, two of them unless --only names others: shows that it works, nothing more",
    )
    parser.add_argument("--background", action="store_true", help="go on after the terminal closes; output in <out>/log.txt")
    args = parser.parse_args()
    args.data, args.out = args.data.resolve(), args.out.resolve()
    if args.quick:
        args.epochs, args.crop, args.seeds, args.workers, args.out = 1, [64, 96], 1, 0, args.out / "quick"
    return args


def main() -> None:
    """Train what is not done yet, and write the table."""
    args = parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.background:
        command = [sys.executable, "-m", "benchmarks.thin_classes", *(arg for arg in sys.argv[1:] if arg != "--background")]
        with open(args.out / "log.txt", "a") as log:
            streams = dict(stdout=log, stderr=log, stdin=subprocess.DEVNULL)
            process = subprocess.Popen(command, **streams, env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True)
        print(f"process {process.pid} works on it; follow it in {args.out / 'log.txt'}")
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    work(plan_changes(args), args)
    work(plan_best(args), args)
    write_table(args)


if __name__ == "__main__":
    main()
