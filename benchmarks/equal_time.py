"""How much do few sampled pixels cost, and what do they buy? PixelNet on CamVid at equal processor time, and DeepLabV3 beside it.

Every run trains on one thread until it has used the same processor seconds, data loading included. The learning rate falls to zero
over that time instead of over a number of steps. Then ``mmstreet test`` scores both splits. Runs that are done are not repeated, and
one that was stopped goes on from its last checkpoint:

    python benchmarks/equal_time.py --minutes 8 --amp --data data/camvid11

The table goes to ``<out>/table.md`` and, as data, to ``<out>/table.json``. How many steps fit into the time depends on the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.hooks import Hook

from mmstreet.engine.launch import build_runner, load_config
from mmstreet.files.tables import markdown_table

ROOT = Path(__file__).parents[1]
CLOCK = "processor_seconds"


@dataclass(frozen=True)
class Run:
    """One line of the table: a config, and the pixels per image that its head samples (None: it uses all)."""

    config: str
    num_pixels: int | None = None


RUNS = {
    "pixelnet_200": Run("pixelnet_camvid", 200),
    "pixelnet_2000": Run("pixelnet_camvid", 2_000),
    "pixelnet_20000": Run("pixelnet_camvid", 20_000),
    "deeplabv3": Run("deeplabv3_camvid_v1"),
}


class TimeBudgetHook(Hook):
    """End an iteration-based training after so many processor seconds, and let the learning rate fall to zero by then.

    Args:
        seconds: The budget. Time before the last checkpoint of an interrupted run counts, for it is stored in the checkpoint.
        power: Of the polynomial ``(1 - t)**power``.
    """

    def __init__(self, seconds: float, *, power: float = 0.9) -> None:
        self.seconds = seconds
        self.power = power
        self._used = self._last = 0.0

    def before_train(self, runner) -> None:
        self._used = runner.message_hub.get_info(CLOCK) or 0.0
        self._last = time.process_time()

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        left = max(0.0, 1 - self._used / self.seconds) ** self.power
        for group in runner.optim_wrapper.param_groups:
            group["lr"] = left * group.setdefault("initial_lr", group["lr"])

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        now = time.process_time()
        self._used, self._last = self._used + now - self._last, now
        runner.message_hub.update_info(CLOCK, self._used)
        runner.train_loop.stop_training = self._used >= self.seconds


def train(name: str, out: Path, seconds: float, *, amp: bool, data: Path | None) -> None:
    """Train one run to its budget; ``done.json`` in its folder says how far it came."""
    torch.set_num_threads(1)
    run, work_dir = RUNS[name], out / name
    options = {"train_dataloader.num_workers": 0, "train_dataloader.persistent_workers": False}
    if run.num_pixels is not None:
        options["model.decode_head.num_pixels"] = run.num_pixels
    if data is not None:
        options["train_dataloader.dataset.data_root"] = str(data)
    cfg = load_config(ROOT / "configs" / f"{run.config}.py", work_dir=work_dir, cfg_options=options, amp=amp, resume=True)
    cfg.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 10**9}
    cfg.param_scheduler = None
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.log_processor.by_epoch = False
    cfg.default_hooks.checkpoint = {"type": "mmstreet.AtomicCheckpointHook", "by_epoch": False, "interval": 100, "max_keep_ckpts": 1}
    runner = build_runner(cfg)
    runner.register_hook(TimeBudgetHook(seconds))
    runner.train()
    runner.save_checkpoint(str(work_dir), "final.pth", save_optimizer=False, by_epoch=False)
    used, batch = runner.message_hub.get_info(CLOCK), cfg.train_dataloader.batch_size
    (work_dir / "done.json").write_text(json.dumps({"steps": runner.iter, "batch_size": batch, "seconds": used}))


def test(name: str, out: Path, *, data: Path | None) -> None:
    """Score one run on both splits with the daily command."""
    path, work_dir = f"configs/{RUNS[name].config}.py", out / name
    command = [sys.executable, "-m", "mmstreet", "test", path, str(work_dir / "final.pth"), "--work-dir", str(work_dir)]
    command += ["--splits", "train", "val", "--out", str(work_dir / "test")]
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    options = [] if data is None else [f"{loader}.dataset.data_root={data}" for loader in loaders]
    env = {"OMP_WAIT_POLICY": "passive", **os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *(["--cfg-options", *options] if options else [])], cwd=ROOT, env=env, check=True)


def table(out: Path, names: list[str], classes: tuple[str, ...] = ("pole", "signsymbol", "pedestrian", "bicyclist")) -> tuple[str, list]:
    """Collect the runs that are done, as Markdown and as data."""
    rows, cells = [], []
    for name in names:
        if not (out / name / "test" / "val" / "metrics.json").exists():
            continue
        done = json.loads((out / name / "done.json").read_text())
        scores = {split: json.loads((out / name / "test" / split / "metrics.json").read_text())["metrics"] for split in ("train", "val")}
        rows.append({"run": name, **done, "scores": scores})
        both = [scores[split][key] for key in ("mIoU", "fwIoU", "catIoU") for split in ("train", "val")]
        rare = [scores["val"][f"IoU/{c}"] for c in classes]
        images = done["steps"] * done["batch_size"]
        cells.append([name, done["steps"], f"{done['seconds'] / done['steps']:.3f}", images, *both, *rare])
    head = ["run", "steps", "s per step", "images seen"]
    head += [f"{key} {split}" for key in ("mIoU", "fwIoU", "catIoU") for split in ("train", "val")] + [f"{c} val" for c in classes]
    return markdown_table(head, cells), rows


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8, help="processor time of each run (default: 8)")
    parser.add_argument("--data", type=Path, help="folder of the data set, default: the one that the configs name")
    parser.add_argument("--out", type=Path, default=ROOT / "work_dirs" / "equal_time", help="default: work_dirs/equal_time")
    parser.add_argument("--only", nargs="+", choices=RUNS, metavar="RUN", help=f"some of {', '.join(RUNS)}")
    parser.add_argument("--amp", action="store_true", help="train in mixed precision (bfloat16 on CPU)")
    args = parser.parse_args()
    out, data = args.out.resolve(), args.data and args.data.resolve()
    for name in args.only or RUNS:
        if not (out / name / "done.json").exists():
            process = multiprocessing.get_context("spawn").Process(
                target=train, args=(name, out, 60 * args.minutes), kwargs={"amp": args.amp, "data": data}
            )
            process.start()
            process.join()
            if process.exitcode:
                sys.exit(f"run '{name}' failed, see above; the same command goes on where it stopped")
        if not (out / name / "test" / "val" / "metrics.json").exists():
            test(name, out, data=data)
    text, rows = table(out, list(RUNS))
    (out / "table.md").write_text(f"{text}\n\n`{' '.join(['python', *sys.argv])}`\n")
    (out / "table.json").write_text(json.dumps(rows, indent=2))
    print(text)


if __name__ == "__main__":
    main()
