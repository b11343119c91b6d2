"""A test run with everything that it leaves behind: scores as JSON and CSV, charts, and the page of the worst images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmstreet.engine.checkpoint_fit import check_fit
from mmstreet.engine.checkpoints import find_checkpoint
from mmstreet.evaluation.scene_safety import write_safety
from mmstreet.files.atomic import write_json
from mmstreet.files.colors import spread_palette
from mmstreet.files.images import read_rgb
from mmstreet.files.tables import write_class_csv, write_image_csv
from mmstreet.metrics.instance import BDD100KInsMetric
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.report.instance_report import write_instance_report
from mmstreet.report.panels import Panel, plot_panels
from mmstreet.report.pictures import write_panels
from mmstreet.report.plots import plot_class_bars, plot_confusion
from mmstreet.safety.metric import RoadSafetyMetric


def run_test(runner: Runner, *, out: str | Path, worst: int = 8) -> dict:
    """Test a model and write the results.

    Every run leaves ``metrics.json``. Where the evaluator has a :class:`~mmstreet.metrics.semantic.StreetIoUMetric`, there are also
    ``per_class.csv``, ``per_image.csv``, ``confusion_matrix.png``, ``class_iou.png``, ``worst.png`` and the same pictures one by one in
    ``worst/``; a second one, which needs a prefix, writes into a folder of that name. A
    :class:`~mmstreet.metrics.instance.BDD100KInsMetric` leaves ``per_class_ap.csv``, ``precision_recall.csv`` and
    ``precision_recall.png``; beside a metric of the first kind it writes into the folder ``instances``. A
    :class:`~mmstreet.safety.metric.RoadSafetyMetric` writes into ``safety``; see
    :func:`~mmstreet.evaluation.scene_safety.write_safety`.

    Args:
        runner: Built from a config with ``load_from`` set to the checkpoint.
        out: Folder for the files.
        worst: How many images to show on ``worst.png``; 0 draws none and keeps no prediction.

    Returns:
        The scalars of all metrics.

    Raises:
        LaunchError: If the checkpoint does not exist or does not fit the model.
    """
    checkpoint = runner.cfg.get("load_from")
    if checkpoint and "://" not in checkpoint:
        find_checkpoint(checkpoint)
    metrics = runner.test_loop.evaluator.metrics
    keepers = {metric: WorstImagesHook(metric, keep=worst) for metric in metrics if isinstance(metric, StreetIoUMetric)}
    for hook in (CheckpointFitHook(), *keepers.values()):
        runner.register_hook(hook, priority="VERY_LOW")
    scores = runner.test()
    shown = {metric: keeper.collect() for metric, keeper in keepers.items()}
    if is_main_process():
        written = write_results(metrics, scores, out=out, config=runner.cfg.filename, checkpoint=checkpoint, worst=shown)
        print_log(f"written to '{out}': {', '.join(str(path.relative_to(out)) for path in written)}", logger="current")
    return scores


def write_results(
    evaluated: Sequence[BaseMetric],
    scores: Mapping[str, float],
    *,
    out: str | Path,
    config: str | None,
    checkpoint: str | None,
    worst: Mapping[StreetIoUMetric, Sequence[Candidate]] | None = None,
) -> list[Path]:
    """Write the files of :func:`run_test` from metrics that have been evaluated; on the main process.

    Args:
        evaluated: The metrics of one loop.
        scores: Their scalars.
        out: Folder for the files.
        config: Where the config was read from.
        checkpoint: Which weights were measured.
        worst: The images to picture, per metric.
    """
    out = Path(out)
    semantic = [metric for metric in evaluated if isinstance(metric, StreetIoUMetric)]
    of_instances = [metric for metric in evaluated if isinstance(metric, BDD100KInsMetric)]
    run = {"config": config, "checkpoint": checkpoint, "metrics": _with_unmeasured(scores, [*semantic, *of_instances])}
    written = [] if semantic or of_instances else [write_json(run, out / "metrics.json")]
    for i, metric in enumerate(semantic):
        written += _write_evaluation(run, metric, (worst or {}).get(metric, ()), out if i == 0 else out / metric.prefix)
    for metric in of_instances:
        folder = out / (metric.prefix or ("instances" if semantic else ""))
        evaluation = {name: metric.report[name] for name in ("protocols", "by", "classes")}
        written.append(write_json(run | {"evaluation": evaluation}, folder / "metrics.json"))
        written += write_instance_report(metric.report, folder)
    for metric in evaluated:
        if isinstance(metric, RoadSafetyMetric):
            written += write_safety(metric, run, out / metric.prefix, read_rgb=read_rgb)
    return written


def write_validation(runner: Runner, *, out: str | Path) -> list[Path]:
    """Write what the last validation of a training measured, without pictures of images; on the main process.

    Args:
        runner: After training.
        out: Folder for the files.

    Returns:
        The files; none where no metric of this package validated.
    """
    loop = runner.val_loop if runner.cfg.get("val_cfg") is not None else None
    reporting = (StreetIoUMetric, BDD100KInsMetric, RoadSafetyMetric)
    metrics = [metric for metric in (loop.evaluator.metrics if loop else ()) if isinstance(metric, reporting) and metric.report]
    if not metrics:
        return []
    scores = {f"{m.prefix}/{name}" if m.prefix else name: value for m in metrics for name, value in m.report["metrics"].items()}
    known = {name: value for name, value in scores.items() if value is not None}
    return write_results(metrics, known, out=out, config=runner.cfg.filename, checkpoint=None)


class CheckpointFitHook(Hook):
    """Refuse a checkpoint that leaves weights of the model as they were drawn; mmengine only warns and tests the random rest."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes; see :func:`~mmstreet.engine.checkpoint_fit.check_fit`."""
        check_fit(runner.model.module if is_model_wrapper(runner.model) else runner.model, checkpoint, runner.cfg.get("load_from"))


@dataclass(frozen=True)
class Candidate:
    """One image and its score; ``labels`` and ``preds`` are int16 ``[H, W]``."""

    score: float
    img_path: str
    labels: np.ndarray
    preds: np.ndarray


def keep_candidate(sample: BaseDataElement, img_path: str, *, num_classes: int, score: float) -> Candidate:
    """Copy truth and prediction of one sample; predictions that are no class become ``num_classes``."""
    labels, preds = (x.data.reshape(x.data.shape[-2:]).cpu().numpy() for x in (sample.gt_sem_seg, sample.pred_sem_seg))
    return Candidate(score, img_path, labels.astype(np.int16), np.minimum(preds, num_classes).astype(np.int16))


class WorstImagesHook(Hook):
    """Keep truth and prediction of the images that a metric scores lowest.

    Args:
        metric: The metric of the same test loop; its counts of the last batch are read, nothing is counted twice.
        keep: How many images.
    """

    def __init__(self, metric: StreetIoUMetric, *, keep: int = 8) -> None:
        self.metric = metric
        self.keep = keep
        self._kept: list[Candidate] = []

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Sequence | None = None) -> None:
        """Look at one batch."""
        for (image, counts), sample in zip(self.metric.results[-len(outputs) :], outputs, strict=True):
            score = self.metric.score_image(counts)
            if np.isnan(score) or (len(self._kept) >= self.keep and (not self.keep or score >= self._kept[-1].score)):
                continue
            self._kept.append(keep_candidate(sample, image, num_classes=len(self.metric.names), score=score))
            self._kept = sorted(self._kept, key=lambda kept: kept.score)[: self.keep]

    def collect(self) -> list[Candidate]:
        """Return the worst images of all processes, each once, the worst first; every process has to call this."""
        found = {kept.img_path: kept for part in all_gather_object(self._kept) for kept in part}
        return sorted(found.values(), key=lambda kept: kept.score)[: self.keep]


def _with_unmeasured(scores: dict, metrics: Sequence[StreetIoUMetric | BDD100KInsMetric]) -> dict:
    """Add what could not be measured as ``None``."""
    names = [f"{metric.prefix}/{name}" if metric.prefix else name for metric in metrics for name in metric.report["metrics"]]
    return {name: scores.get(name) for name in [*names, *scores]}


def _write_evaluation(run: dict, metric: StreetIoUMetric, worst: Sequence[Candidate], folder: Path) -> list[Path]:
    report = metric.report
    written = [
        write_json(
            run | {"evaluation": {name: value for name, value in report.items() if name not in ("metrics", "images")}},
            folder / "metrics.json",
        ),
        write_class_csv(report, folder / "per_class.csv"),
        write_image_csv(report, folder / "per_image.csv"),
        plot_confusion(report, folder / "confusion_matrix.png"),
        plot_class_bars(report, folder / "class_iou.png"),
    ]
    if worst:
        palette = (metric.dataset_meta or {}).get("palette") or spread_palette(len(metric.names))
        panels = [
            Panel(read_rgb(kept.img_path), kept.labels, kept.preds, f"{i}.  {Path(kept.img_path).name}   mIoU {kept.score:.1f} %")
            for i, kept in enumerate(worst, 1)
        ]
        look = {
            "names": metric.names,
            "palette": palette[: len(metric.names)],
            "ignore_index": metric.ignore_index,
            "background_scored": metric.scope == "scene",
        }
        written.append(plot_panels(panels, path=folder / "worst.png", **look))
        named = [replace(panel, title=Path(kept.img_path).name) for panel, kept in zip(panels, worst)]
        written += write_panels(named, scores=[kept.score for kept in worst], folder=folder / "worst", **look)[:1]
    return written
