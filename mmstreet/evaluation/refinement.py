"""A test run with refiners beside it: the network's own map and each refined one, scored on the same images in one table."""

from __future__ import annotations

import functools
import operator
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.kept_images import TRUTH, KeptImage, MapRules, write_kept_images
from mmstreet.evaluation.refinement_scores import RADIUS_PX, RefinementCounts, ScoringRules, refinement_table
from mmstreet.evaluation.result_folder import ResultFolder
from mmstreet.files.atomic import write_json
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.predict.binary import shift_probs
from mmstreet.predict.reading import reading_of
from mmstreet.refine.configured import build_refiner, read_refiner
from mmstreet.refine.prediction import thin_names
from mmstreet.refine.refiners import Refiner
from mmstreet.registry import HOOKS

BASELINE = "baseline"


def load_refiners(paths: Sequence[str | Path]) -> dict[str, Config]:
    """Read refiner configs, by file name.

    Raises:
        LaunchError: If a file does not exist, sets no ``refiner``, or two files have one name.
    """
    found = {}
    for path in map(Path, paths):
        try:
            cfg = read_refiner(path)
        except (OSError, ValueError) as error:
            raise LaunchError(str(error)) from error
        if path.stem in found or path.stem in (BASELINE, TRUTH, "image"):
            raise LaunchError(f"two systems are named '{path.stem}'; rename a refiner config, for the table goes by file names")
        found[path.stem] = cfg
    return found


def _build(cfg: Config, classes: Sequence[str], label_rows: Sequence[Mapping]) -> Refiner:
    try:
        return build_refiner(cfg, classes, label_rows=label_rows)
    except (ImportError, OSError, ValueError, TypeError, KeyError) as error:
        raise LaunchError(str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)) from error


def add_refinement(cfg: Config, paths: Sequence[str | Path], *, out: str | Path, keep: int = 8) -> None:
    """Let a test run of a config compare refiners; see :class:`RefinementHook`.

    Raises:
        LaunchError: If a refiner config cannot be used.
    """
    load_refiners(paths)
    hook = dict(type="mmstreet.RefinementHook", refiners=[str(path) for path in paths], out=str(out), keep=keep, priority="VERY_LOW")
    cfg.custom_hooks = [*(cfg.get("custom_hooks") or []), hook]


@HOOKS.register_module()
class RefinementHook(Hook):
    """Refine every prediction of a test run, score it beside the network's own, and print and write the scores at the end.

    Leaves ``refinement.json`` and, where images were kept, ``refinement/``.

    Args:
        refiners: Config files that set ``refiner``; the table names them by file name.
        out: Folder for the files.
        keep: How many images to keep with their maps: those on which refining changed the number of right pixels most, up or down.
    """

    needs_scores = True
    """``seg_logits`` of the samples are read."""

    def __init__(self, *, refiners: Sequence[str | Path], out: str | Path, keep: int = 8) -> None:
        self.configs = load_refiners(refiners)
        self.out = Path(out)
        self.keep = keep
        self._counts: dict[str, dict[str, RefinementCounts]] = {}
        self._kept: list[tuple[int, KeptImage]] = []
        self._forward_seconds = 0.0

    def before_test(self, runner: Runner) -> None:
        """Build the refiners before the first image, so that what is missing is said at once."""
        metrics = [metric for metric in runner.test_loop.evaluator.metrics if isinstance(metric, StreetIoUMetric)]
        if not metrics:
            raise LaunchError("--refine compares IoU and needs mmstreet.StreetIoUMetric as test_evaluator; this config has none")
        self.rules, self.map_rules = ScoringRules.of(metrics[0]), MapRules.of(metrics[0])
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        classes = tuple((metrics[0].dataset_meta or {}).get("classes") or self.rules.names)
        heads = getattr(model, "decode_head", None)
        heads = heads[-1] if isinstance(heads, torch.nn.ModuleList) else heads
        classes = classes[: getattr(heads, "num_classes", len(self.rules.names))]
        self.threshold = heads.threshold if getattr(heads, "out_channels", None) == 1 else None
        self.reading = reading_of(runner.cfg)
        rows = (metrics[0].dataset_meta or {}).get("label_rows") or ()
        self.refiners = {name: _build(cfg, classes, rows[: len(classes)]) for name, cfg in self.configs.items()}
        self._timers = (runner.model.register_forward_pre_hook(self._start), runner.model.register_forward_hook(self._stop))

    def _start(self, *_: object) -> None:
        _wait_for_gpu()
        self._forward_seconds = -time.perf_counter()

    def _stop(self, *_: object) -> None:
        _wait_for_gpu()
        self._forward_seconds += time.perf_counter()

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Sequence | None = None) -> None:
        """Refine and score one batch."""
        for sample in outputs:
            labels, before = (x.data.reshape(x.data.shape[-2:]).cpu().numpy() for x in (sample.gt_sem_seg, sample.pred_sem_seg))
            image = self.reading.read(sample.img_path)
            if image.shape[:2] != labels.shape:
                raise LaunchError(
                    f"'{sample.img_path}' is {list(image.shape[:2])} and its labels {list(labels.shape)} (height, width); refiners work at "
                    "the size of the image: load the labels after Resize in the test pipeline"
                )
            probs_or_labels = shift_probs(_to_probs(sample.seg_logits.data), self.threshold) if "seg_logits" in sample else before
            counts, maps = {BASELINE: self.rules.count(labels, before, seconds=self._forward_seconds / len(outputs))}, {BASELINE: before}
            for name, refine in self.refiners.items():
                started = time.perf_counter()
                maps[name], record = refine(image, probs_or_labels)
                counts[name] = self.rules.count(labels, maps[name], seconds=time.perf_counter() - started, record=record)
            self._counts[sample.img_path] = counts
            right = {name: int(np.trace(count.confusion)) for name, count in counts.items()}
            gain = max((right[name] - right[BASELINE] for name in self.refiners), key=abs)
            # In a prediction 255 is "no class", which the kept maps write as the id after the last class.
            seen = {name: np.minimum(ids, len(self.rules.names)).astype(np.int16) for name, ids in maps.items()}
            share = {name: 100 * count / max(1, int(counts[name].confusion.sum())) for name, count in right.items()}
            kept = KeptImage(sample.img_path, {TRUTH: labels.astype(np.int16), **seen}, share)
            self._kept = sorted([*self._kept, (gain, kept)], key=lambda item: -abs(item[0]))[: self.keep]

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Bring all processes together and write; an image that two processes saw counts once."""
        for timer in self._timers:
            timer.remove()
        counts = {path: found for part in all_gather_object(self._counts) for path, found in part.items()}
        kept = {item[1].img_path: item for part in all_gather_object(self._kept) for item in part}
        if not is_main_process():
            return
        systems = [
            self.rules.summarize(name, functools.reduce(operator.add, (found[name] for found in counts.values())), images=len(counts))
            for name in (BASELINE, *self.refiners)
        ]
        for system in systems[1:]:
            system["differences"] = self.rules.compare(list(counts.values()), BASELINE, system["name"])
        checkpoint = runner.cfg.get("load_from")
        run = {"config": runner.cfg.filename, "checkpoint": checkpoint, "images": len(counts)}
        report = run | {"boundary_radius_px": RADIUS_PX, "thin_classes": list(thin_names(self.rules.names)), "systems": systems}
        images = [kept for _, kept in sorted(kept.values(), key=lambda item: -abs(item[0]))[: self.keep]]
        results = ResultFolder(self.out, checkpoint)
        results.start()
        path = write_json(report, self.out / "refinement.json")
        results.add([path, *write_kept_images(images, self.map_rules, self.out, "refinement", orientation=self.reading.orientation)])
        print_log(f"refinement on {len(counts)} images\n{refinement_table(report)}\nwritten to '{path}'", logger="current")


def _to_probs(scores: torch.Tensor) -> np.ndarray:
    """mmseg gives logits for several channels, and for a single one the probability of class 1 already."""
    return (torch.cat([1 - scores, scores]) if len(scores) == 1 else scores.float().softmax(0)).cpu().numpy()


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
