"""What a run shows while it goes on: a header, a bar with loss and time left, one table per validation."""

from __future__ import annotations

import contextlib
import numbers
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from tqdm import tqdm

from mmstreet.cli.run_header import test_header, train_header

_BAR = "{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{postfix}, {remaining} left"
_REFRESH_S = 0.5
_LINES = 5
_LINE_S = (10, 1800)
"""Least and most time between two lines that are no bar."""
_WINDOW = 20
_WIDTH = 120
_PER_CLASS = ("IoU", "AP")
_NO_SCORES = ("time", "data_time")


class ProgressHook(Hook):
    """Show the progress of a training or a test on the main process.

    On a terminal that is a tqdm bar. Elsewhere, as in the file of a cluster job, a line at every fifth of the run, but none within
    ten seconds and at least one in half an hour.
    """

    priority = "LOWEST"

    def __init__(self) -> None:
        self.interactive = sys.stderr.isatty()
        self._bar: tqdm | None = None
        self._inner: tqdm | None = None
        self._began = self._shown = 0.0
        self._first = self._part = 0
        self._best: float | None = None

    def before_train(self, runner: Runner) -> None:
        """Print the header and begin."""
        print(train_header(runner))
        self._begin("training", runner.max_iters, runner.iter)
        self._best = runner.message_hub.runtime_info.get("best_score")

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None) -> None:
        """Go on by one."""
        done, now = runner.iter + 1, time.monotonic()
        if self._bar is not None and (now - self._shown >= _REFRESH_S or done == runner.max_iters):
            self._bar.set_postfix_str(_where(runner), refresh=False)
            self._bar.update(done - self._bar.n)
            self._shown = now
        elif self._bar is None:
            self._line("iteration", done, runner.max_iters, _where(runner))

    def after_train(self, runner: Runner) -> None:
        """Take the bar away."""
        self.close()

    def before_val_epoch(self, runner: Runner) -> None:
        """Begin a bar below that of the training, or alone."""
        self._inner = self._make_bar("validating", len(runner.val_loop.dataloader)) if self.interactive else None

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None) -> None:
        """Go on by one."""
        if self._inner is not None:
            self._inner.update(1)

    def after_val_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Print the scores."""
        self._inner = _close(self._inner)
        epochs = isinstance(runner.train_loop, EpochBasedTrainLoop)
        done, length = (runner.epoch, runner.max_epochs) if epochs else (runner.iter, runner.max_iters)
        best = runner.message_hub.runtime_info.get("best_score")
        remark = ", the best so far" if best is not None and best != self._best else "" if best is None else f"; best so far {best:.2f}"
        self._best = best
        print(f"validation after {'epoch' if epochs else 'iteration'} {done:,} of {length:,}{remark}")
        print("\n".join(f"  {line}" for line in format_scores(metrics or {})))

    def before_test(self, runner: Runner) -> None:
        """Print the header."""
        print(test_header(runner))

    def before_test_epoch(self, runner: Runner) -> None:
        """Begin."""
        self._begin("testing", len(runner.test_loop.dataloader), 0)

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: object = None) -> None:
        """Go on by one."""
        if self._bar is not None:
            self._bar.update(1)
        else:
            self._line("batch", batch_idx + 1, len(runner.test_loop.dataloader), "")
        if batch_idx + 1 == len(runner.test_loop.dataloader):
            self.close()  # the tables of the metrics follow

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Print the scores if no metric of this package has printed a table."""
        if not any(type(metric).__module__.startswith("mmstreet.") for metric in runner.test_loop.evaluator.metrics):
            print("\n".join(format_scores(metrics or {})))

    def close(self) -> None:
        """Take away every bar, also after an error."""
        self._inner, self._bar = _close(self._inner), _close(self._bar)

    def _begin(self, what: str, total: int, done: int) -> None:
        self._began, self._shown, self._first, self._part = time.monotonic(), time.monotonic(), done, done * _LINES // max(total, 1)
        self._bar = self._make_bar(what, total, done) if self.interactive else None

    def _make_bar(self, what: str, total: int, done: int = 0) -> tqdm:
        return tqdm(
            total=total, initial=done, desc=what, bar_format=_BAR, smoothing=0, dynamic_ncols=True, leave=False, mininterval=_REFRESH_S
        )

    def _line(self, unit: str, done: int, total: int, where: str) -> None:
        now, part = time.monotonic(), done * _LINES // total
        if (part > self._part and now - self._shown >= _LINE_S[0]) or now - self._shown >= _LINE_S[1]:
            left = (now - self._began) / (done - self._first) * (total - done)
            print(f"{unit} {done:,} of {total:,}{f', {where}' if where else ''}, {tqdm.format_interval(left)} left")
            self._part, self._shown = part, now


@contextlib.contextmanager
def shown_progress(runner: Runner, *, shown: bool = True) -> Iterator[None]:
    """Let the main process show what a run does, and take the bars away at its end, also after an error."""
    hook = ProgressHook()
    if shown and is_main_process():
        runner.register_hook(hook)
    try:
        yield
    finally:
        hook.close()


def format_end(runner: Runner, seconds: float) -> str:
    """Say how long a training took, and where its best and its last weights are."""
    known = runner.message_hub.runtime_info
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    files = []
    if hooks and "best_ckpt" in known:
        files.append(f"best {hooks[0].key_indicators[0]} {known['best_score']:.2f} in {Path(known['best_ckpt']).name}")
    if hooks and hooks[0].last_ckpt:
        files.append(f"last weights in {Path(hooks[0].last_ckpt).name}")
    return f"trained in {tqdm.format_interval(seconds)}" + (f": {', '.join(files)}" if files else "")


def format_scores(scores: Mapping[str, float], *, width: int | None = None) -> Iterator[str]:
    """Lay out the scalars of an evaluation: those without a prefix, then a line for each prefix, and IoU or AP by class in columns.

    Other scores by class, such as ``Acc/car`` beside ``IoU/car``, are left out: the log and the page of the run have them.

    Args:
        scores: Values by name, as metrics return them, such as ``mIoU``, ``IoU/car``, ``scene/mIoU``, ``coco/AP``.
        width: Characters of a line; default: those of the terminal, 120 at most.

    Yields:
        Lines.
    """
    width = width or min(shutil.get_terminal_size((_WIDTH, 24)).columns, _WIDTH) - 2
    groups: dict[str, list[tuple[str, float]]] = {}
    for name, value in scores.items():
        prefix, _, tail = name.rpartition("/")
        if name not in _NO_SCORES and isinstance(value, numbers.Real):
            groups.setdefault(prefix, []).append((tail, value))
    by_class = {prefix: rows for prefix, rows in groups.items() if prefix.rpartition("/")[2] in _PER_CLASS}
    classes = {name for rows in by_class.values() for name, _ in rows}
    for prefix, rows in sorted(groups.items(), key=lambda item: item[0] != ""):
        if prefix in by_class:
            yield from _columns([f"{name} {value:.1f}" for name, value in rows], width, title=prefix)
        elif not classes or {name for name, _ in rows} - classes:
            yield from _columns([f"{name} {value:.2f}" for name, value in rows], width, title=prefix, aligned=False)


def _columns(cells: Sequence[str], width: int, *, title: str = "", aligned: bool = True) -> Iterator[str]:
    title = f"{title}: " if title else ""
    cell = max(map(len, cells)) + 2
    line = title
    for text in cells:
        text = f"{text:<{cell}}" if aligned else f"{text}  "
        if len(line) + len(text.rstrip()) > width and line.strip():
            yield line.rstrip()
            line = " " * len(title)
        line += text
    yield line.rstrip()


def _where(runner: Runner) -> str:
    epoch = f"epoch {runner.epoch + 1} of {runner.max_epochs}, " if isinstance(runner.train_loop, EpochBasedTrainLoop) else ""
    losses = runner.message_hub.log_scalars.get("train/loss")
    return f"{epoch}loss {losses.mean(_WINDOW):.3f}" if losses is not None else epoch.rstrip(", ")


def _close(bar: tqdm | None) -> None:
    if bar is not None:
        bar.close()
