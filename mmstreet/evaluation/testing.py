"""A test run and the files that it writes: scores as JSON and CSV, and images with their label maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmstreet.engine.checkpoint_fit import check_fit
from mmstreet.engine.checkpoints import find_checkpoint
from mmstreet.engine.data_workers import data_workers
from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.kept_images import KeepImagesHook, KeptMaps, MapRules, write_kept_maps
from mmstreet.evaluation.label_errors import write_suspects
from mmstreet.evaluation.result_folder import ResultFolder
from mmstreet.evaluation.scene_safety import write_scenes
from mmstreet.files.atomic import write_arrays, write_json
from mmstreet.files.contained import path_inside
from mmstreet.files.tables import write_csv
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.predict.exported_segmentor import ExportedSegmentor, check_classes
from mmstreet.predict.reading import reading_of


def run_test(
    runner: Runner, *, out: str | Path, images: int = 40, worst: int = 8, examples: int = 4, results: ResultFolder | None = None
) -> dict:
    """Test a model and write the results.

    Every run leaves ``metrics.json``, and ``files.json`` with the names of all its files. A metric that has a method ``files`` adds
    content to ``metrics.json`` and tables: :class:`~mmstreet.metrics.semantic.StreetIoUMetric` ``per_class.csv``, ``per_image.csv`` and
    ``per_image.npz``, :class:`~mmstreet.metrics.instance.BDD100KInsMetric` ``per_class_ap.csv``, ``precision_recall.csv`` and
    ``ap_draws.npz``, :class:`~mmstreet.safety.metric.RoadSafetyMetric` ``per_image.csv`` and ``scenes/``. The first metric without a
    prefix writes into ``out``, others into a folder of their prefix or kind. Beside the files of a ``StreetIoUMetric`` lie ``images/``,
    images worth a look with truth and prediction as indexed PNG files, and ``predictions.zip`` with the predictions of all images.

    Args:
        runner: Built from a config with ``load_from`` set to the checkpoint, or to an exported file, see
            :func:`~mmstreet.predict.exported_segmentor.use_exported`.
        out: Folder for the files. Results of another checkpoint in it are removed.
        images: How many images to keep at most; with 0 no predictions either.
        worst: How many of them for their low mIoU.
        examples: How many of them spread evenly over the data set.
        results: The folder that lists the files, if ``out`` is only a part of it.

    Returns:
        The scalars of all metrics.

    Raises:
        LaunchError: If the checkpoint does not exist or does not fit the model, an exported file has other classes than the data, or a
            folder of ``out`` is a link to elsewhere.
    """
    checkpoint = runner.cfg.get("load_from")
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if isinstance(model, ExportedSegmentor):
        runner._load_from = None  # the file is the model, and no checkpoint
        check_classes(model, runner.test_loop.dataloader.dataset.metainfo["classes"])
    elif checkpoint and "://" not in checkpoint:
        find_checkpoint(checkpoint)
    metrics = runner.test_loop.evaluator.metrics
    semantic = [metric for metric in metrics if isinstance(metric, StreetIoUMetric)]
    keepers = {metric: KeepImagesHook(metric, worst=worst, examples=examples, limit=images) for metric in semantic}
    hooks = (CheckpointFitHook(), *keepers.values())
    for hook in hooks:
        runner.register_hook(hook, priority="VERY_LOW")
    try:
        with data_workers(runner):
            scores = runner.test()
    finally:
        runner._hooks = [hook for hook in runner.hooks if hook not in hooks]  # a second test would keep its maps twice
    kept = {metric: keeper.collect() for metric, keeper in keepers.items()}
    if is_main_process():
        run, orientation = {"config": runner.cfg.filename, "checkpoint": checkpoint}, reading_of(runner.cfg).orientation
        try:
            written = write_results(
                metrics, scores, run, out=out, results=results or ResultFolder(out, checkpoint), kept=kept, orientation=orientation
            )
        except ValueError as error:
            raise LaunchError(f"the results were not written: {error}") from error
        shown = ", ".join(str(path.relative_to(out)) for path in written if path.suffix in (".json", ".csv", ".npz"))
        print_log(f"written to '{out}': {shown}", logger="current")
    return scores


def write_results(
    evaluated: Sequence[BaseMetric],
    scores: Mapping[str, float],
    run: Mapping[str, str | None],
    *,
    out: str | Path,
    results: ResultFolder,
    kept: Mapping[StreetIoUMetric, KeptMaps] | None = None,
    orientation: str = "stored",
) -> list[Path]:
    """Write the files of :func:`run_test` from metrics that have been evaluated; on the main process.

    Args:
        evaluated: The metrics of one loop.
        scores: Their scalars.
        run: ``config``, where it was read from, and ``checkpoint``, which weights were measured.
        out: Folder for the files.
        results: The folder that lists them.
        kept: What to write of single images, by metric.
        orientation: How the images were turned for the model.

    Returns:
        The files.
    """
    out = Path(out)
    reporting = [metric for metric in evaluated if hasattr(metric, "files") and metric.report]
    # What could not be measured is no scalar, and here None.
    names = [_full_name(metric, name) for metric in reporting for name in metric.report["metrics"]]
    run = dict(run) | {"metrics": {name: scores.get(name) for name in [*names, *scores]}}
    results.start()
    folders = _choose_folders(reporting)
    written = [] if "" in folders.values() else [write_json(run, out / "metrics.json")]
    for metric, name in folders.items():
        for file, content in metric.files().items():
            path = path_inside(out, name) / file
            if path.suffix != ".json":
                written.append((write_csv if path.suffix == ".csv" else write_arrays)(content, path))
                continue
            if "safety" in content:
                written += write_scenes(content["safety"], path.parent, orientation=orientation)
            if "label_errors" in content:
                written += write_suspects(metric, path.parent, orientation=orientation)
            written.append(write_json(run | content, path))
        if kept and metric in kept:
            written += write_kept_maps(kept[metric], MapRules.of(metric), out / name, orientation=orientation)
    results.add(written)
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
    metrics = [metric for metric in (loop.evaluator.metrics if loop else ()) if hasattr(metric, "files") and metric.report]
    if not metrics:
        return []
    scores = {_full_name(metric, name): value for metric in metrics for name, value in metric.report["metrics"].items()}
    known = {name: value for name, value in scores.items() if value is not None}
    run = {"config": runner.cfg.filename, "checkpoint": None}
    return write_results(metrics, known, run, out=out, results=ResultFolder(out, None), orientation=reading_of(runner.cfg).orientation)


class CheckpointFitHook(Hook):
    """Refuse a checkpoint that leaves weights of the model randomly initialised; mmengine only warns and tests the random rest."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes; see :func:`~mmstreet.engine.checkpoint_fit.check_fit`."""
        check_fit(runner.model.module if is_model_wrapper(runner.model) else runner.model, checkpoint, runner.cfg.get("load_from"))


def _full_name(metric: BaseMetric, name: str) -> str:
    return f"{metric.prefix}/{name}" if metric.prefix else name


def _choose_folders(metrics: Sequence[BaseMetric]) -> dict[BaseMetric, str]:
    """Give each metric a folder of its own: none for the first without a prefix, else its prefix or its kind."""
    folders: dict[BaseMetric, str] = {}
    for metric in metrics:
        name = metric.prefix or ""
        folders[metric] = name if name not in folders.values() else metric.folder
    return folders
