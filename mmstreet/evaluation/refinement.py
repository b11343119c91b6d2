"""A test run with refiners beside it: the network's own map and each refined one, scored on the same images in one table."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
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
from mmstreet.files.atomic import write_json
from mmstreet.files.colors import spread_palette
from mmstreet.files.images import read_rgb
from mmstreet.files.numbers import percent
from mmstreet.metrics import functional as F
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.refine.configured import build_refiner, read_refiner
from mmstreet.refine.prediction import thin_names
from mmstreet.refine.refiners import Refiner
from mmstreet.registry import HOOKS
from mmstreet.report.refinement import Comparison, plot_comparison, refinement_table

BASELINE = "baseline"
RADIUS_PX = 3


@dataclass(eq=False)
class Tally:
    """What one system did on some images: counts that add up, seconds, changed pixels, verdicts on regions."""

    confusion: np.ndarray
    boundary: np.ndarray
    seconds: float = 0.0
    changed_px: int = 0
    pixels: int = 0
    verdicts: Counter = field(default_factory=Counter)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.confusion + other.confusion,
            self.boundary + other.boundary,
            self.seconds + other.seconds,
            self.changed_px + other.changed_px,
            self.pixels + other.pixels,
            self.verdicts + other.verdicts,
        )


@dataclass(frozen=True)
class Rules:
    """How maps are scored: class names, which id is ignored, whether a background counts, which classes are absent."""

    names: tuple[str, ...]
    ignore_index: int = 255
    background: bool = False
    scene: bool = False
    convention: str = "mmseg"

    @classmethod
    def of(cls, metric: StreetIoUMetric) -> Rules:
        """Take over the rules of a metric."""
        return cls(metric.names, metric.ignore_index, metric.counts_background, metric.scope == "scene", metric.convention)

    def count(
        self, labels: np.ndarray, preds: np.ndarray, *, seconds: float = 0.0, changed_px: int = 0, verdicts: dict | None = None
    ) -> Tally:
        """Score one map against the truth, integers ``[H, W]`` both."""
        size = len(self.names)
        truth = np.where(labels == size, self.ignore_index, labels) if self.background and not self.scene else labels
        # A copy in one integer type: torch knows few unsigned ones, and 255 in a prediction is "no class".
        maps = [torch.from_numpy(x.astype(np.int64)) for x in (truth, np.minimum(preds, size))]
        ways = dict(num_classes=size, ignore_index=self.ignore_index, background=self.background)
        confusion = F.confusion_matrix(*maps, **ways).numpy()
        boundary = F.boundary_confusion(*maps, radius_px=RADIUS_PX, **ways).numpy()
        return Tally(confusion, boundary, seconds, changed_px, labels.size, Counter(verdicts or {}))

    def summarize(self, name: str, tally: Tally, *, images: int) -> dict:
        """Return a system's scores in per cent, ``None`` where nothing can be measured."""
        iou, edges = (F.iou_per_class(counts, convention=self.convention) for counts in (tally.confusion, tally.boundary))
        thin = [self.names.index(thin_name) for thin_name in thin_names(self.names)]
        means = {"mIoU": F.mean_present(iou), "boundary_IoU": F.mean_present(edges), "thin_IoU": F.mean_present(iou, thin)}
        return {
            "name": name,
            **{key: percent(value) for key, value in means.items()},
            "seconds_per_image": tally.seconds / images,
            "changed_percent": 100 * tally.changed_px / max(1, tally.pixels),
            "per_class": [
                {"class": label, "IoU": percent(iou[i]), "boundary_IoU": percent(edges[i])} for i, label in enumerate(self.names)
            ],
            "regions": dict(tally.verdicts),
        }


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
        if path.stem in found or path.stem == BASELINE:
            raise LaunchError(f"two systems are named '{path.stem}'; rename a refiner config, for the table goes by file names")
        found[path.stem] = cfg
    return found


def _build(cfg: Config, classes: Sequence[str]) -> Refiner:
    try:
        return build_refiner(cfg, classes)
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
    """Refine every prediction of a test run, score it beside the network's own, and write table and pictures at the end.

    Leaves ``refinement.json`` and, where images were kept, ``refinement.png``.

    Args:
        refiners: Config files that set ``refiner``; the table names them by file name.
        out: Folder for the files.
        keep: How many images to picture: those on which refining changed the number of right pixels most, up or down.
    """

    def __init__(self, *, refiners: Sequence[str | Path], out: str | Path, keep: int = 8) -> None:
        self.configs = load_refiners(refiners)
        self.out = Path(out)
        self.keep = keep
        self._tallies: dict[str, dict[str, Tally]] = {}
        self._kept: list[tuple[int, Comparison]] = []
        self._forward_seconds = 0.0

    def before_test(self, runner: Runner) -> None:
        """Build the refiners before the first image, so that what is missing is said at once."""
        metrics = [metric for metric in runner.test_loop.evaluator.metrics if isinstance(metric, StreetIoUMetric)]
        if not metrics:
            raise LaunchError("--refine compares IoU and needs mmstreet.StreetIoUMetric as test_evaluator; this config has none")
        self.rules = Rules.of(metrics[0])
        self.palette = (metrics[0].dataset_meta or {}).get("palette") or spread_palette(len(self.rules.names))
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        classes = tuple((metrics[0].dataset_meta or {}).get("classes") or self.rules.names)
        heads = getattr(model, "decode_head", None)
        heads = heads[-1] if isinstance(heads, torch.nn.ModuleList) else heads
        classes = classes[: getattr(heads, "num_classes", len(self.rules.names))]
        self.refiners = {name: _build(cfg, classes) for name, cfg in self.configs.items()}
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
            image = read_rgb(sample.img_path)
            if image.shape[:2] != labels.shape:
                raise LaunchError(
                    f"'{sample.img_path}' is {list(image.shape[:2])} and its labels {list(labels.shape)} (height, width); refiners work at "
                    "the size of the image: load the labels after Resize in the test pipeline"
                )
            given = _to_probs(sample.seg_logits.data) if "seg_logits" in sample else before
            tallies, maps = {BASELINE: self.rules.count(labels, before, seconds=self._forward_seconds / len(outputs))}, {}
            for name, refine in self.refiners.items():
                started = time.perf_counter()
                after, record = refine(image, given)
                seconds = time.perf_counter() - started
                tallies[name] = self.rules.count(labels, after, seconds=seconds, changed_px=record.changed_px, verdicts=record.verdicts)
                maps[name] = after
            self._tallies[sample.img_path] = tallies
            self._keep(sample.img_path, image, labels, before, maps, tallies)

    def _keep(self, path: str, image: np.ndarray, labels: np.ndarray, before: np.ndarray, maps: dict, tallies: dict[str, Tally]) -> None:
        right = {name: int(np.trace(tally.confusion)) for name, tally in tallies.items()}
        gain = max((right[name] - right[BASELINE] for name in maps), key=abs)
        self._kept.append((gain, Comparison(path, image, *(x.astype(np.int16) for x in (labels, before)), maps)))
        self._kept = sorted(self._kept, key=lambda item: -abs(item[0]))[: self.keep]

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Bring all processes together and write; an image that two processes saw counts once."""
        for timer in self._timers:
            timer.remove()
        tallies = {path: found for part in all_gather_object(self._tallies) for path, found in part.items()}
        kept = {item[1].path: item for part in all_gather_object(self._kept) for item in part}
        if not is_main_process():
            return
        systems = [
            self.rules.summarize(name, _total([found[name] for found in tallies.values()]), images=len(tallies))
            for name in (BASELINE, *self.refiners)
        ]
        run = {"config": runner.cfg.filename, "checkpoint": runner.cfg.get("load_from"), "images": len(tallies)}
        report = run | {"boundary_radius_px": RADIUS_PX, "thin_classes": list(thin_names(self.rules.names)), "systems": systems}
        written = [write_json(report, self.out / "refinement.json")]
        rows = [item[1] for item in sorted(kept.values(), key=lambda item: -abs(item[0]))[: self.keep]]
        if rows:
            written.append(plot_comparison(rows, names=self.rules.names, palette=self.palette, path=self.out / "refinement.png"))
        print_log(f"refinement on {len(tallies)} images\n{refinement_table(report)}", logger="current")
        print_log(f"written to '{self.out}': {', '.join(path.name for path in written)}", logger="current")


def _total(tallies: Sequence[Tally]) -> Tally:
    total = tallies[0]
    for tally in tallies[1:]:
        total = total + tally
    return total


def _to_probs(scores: torch.Tensor) -> np.ndarray:
    """mmseg gives logits for several channels, and for a single one the probability of class 1 already."""
    return (torch.cat([1 - scores, scores]) if len(scores) == 1 else scores.float().softmax(0)).cpu().numpy()


def _wait_for_gpu() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
