"""One model on several splits of its data: the result page with training and validation side by side."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.dist import all_gather_object, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import build_runner
from mmstreet.evaluation.testing import Candidate, keep_candidate, run_test
from mmstreet.files.atomic import write_json
from mmstreet.files.colors import spread_palette
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.files.images import read_rgb
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.report.panels import Panel, plot_panels
from mmstreet.report.result_page import write_result_page

SPLITS = ("train", "val", "test")
_SCORED_ALIKE = ("pipeline", "table", "metainfo", "test_mode")


def split_config(cfg: Config, split: str) -> Config:
    """Turn a config into one whose test runs over another split.

    Files are those of the split's own data loader; how they are read and scored, batch size and order are the test's, so a training
    split is seen without augmentation and in order.

    Args:
        cfg: A config with a test data loader.
        split: ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        LaunchError: If the config has no loader for the split, its data set is a combination of several, or an evaluator holds the
            annotations of one split.
    """
    cfg = copy.deepcopy(cfg)
    loader = cfg.get(f"{split}_dataloader")
    if loader is None or cfg.get("test_dataloader") is None:
        raise LaunchError(f"the config has no {split if loader is None else 'test'}_dataloader; give splits that it has")
    files, *others = dataset_parts(loader.dataset)
    if others:
        raise LaunchError(
            f"split '{split}' is a {loader.dataset.type} of several data sets; test them one by one with --cfg-options test_dataloader"
        )
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list | tuple) else [cfg.test_evaluator]
    for evaluator in evaluators:
        if evaluator.get("ann_file") is not None:
            raise LaunchError(f"{evaluator.type} reads the annotations of one split, '{evaluator.ann_file}'; test without --splits")
    tested = cfg.test_dataloader.dataset
    cfg.test_dataloader.dataset = {
        **{key: value for key, value in files.items() if key not in _SCORED_ALIKE},
        **{key: tested[key] for key in _SCORED_ALIKE if key in tested},
    }
    cfg.experiment_name = f"{Path(cfg.filename).stem if cfg.filename else 'test'}_{split}"
    return cfg


def run_splits(cfg: Config, splits: Sequence[str], *, out: str | Path, worst: int = 8, examples: int = 4) -> dict[str, dict]:
    """Test a model on several splits and write one page about all.

    Every split gets a folder with the files of :func:`~mmstreet.evaluation.testing.run_test` and, where a
    :class:`~mmstreet.metrics.semantic.StreetIoUMetric` is among the metrics, ``examples.png``: input, prediction and truth of images
    spread evenly over the split. Above the folders lie ``splits.json`` and ``results.html``, with mean, weighted and category IoU of
    each split, the confusion matrices and the examples; a second metric of this kind, such as ``scene``, has columns of its own.

    Args:
        cfg: A config with ``load_from`` set to the checkpoint.
        splits: Names out of :data:`SPLITS`.
        out: Folder for the files.
        worst: Images on each ``worst.png``.
        examples: Rows of each ``examples.png``; 0 draws none.

    Returns:
        The scalars of each split.

    Raises:
        LaunchError: As :func:`split_config` and :func:`~mmstreet.evaluation.testing.run_test`, and if a split is unknown or given twice.
    """
    out, scores, reports = Path(out), {}, {}
    if not splits or len(set(splits)) != len(splits) or not set(splits) <= set(SPLITS):
        raise LaunchError(f"splits must be different names out of {', '.join(SPLITS)}, got {', '.join(splits) or 'none'}")
    configs = [split_config(cfg, split) for split in splits]  # before any work is done, so that a mistake shows at once
    for split, part in zip(splits, configs):
        runner = build_runner(part)
        metrics = [metric for metric in runner.test_loop.evaluator.metrics if isinstance(metric, StreetIoUMetric)]
        keeper = ExampleImagesHook(metrics[0] if metrics else None, keep=examples if metrics else 0)
        runner.register_hook(keeper, priority="VERY_LOW")
        print_log(f"split '{split}': {len(runner.test_loop.dataloader.dataset)} images", logger="current")
        scores[split] = run_test(runner, out=out / split, worst=worst)
        shown = keeper.collect()
        if is_main_process():
            reports |= {split if i == 0 else f"{split}/{metric.prefix}": metric.report for i, metric in enumerate(metrics)}
            if shown:
                _plot_examples(metrics[0], shown, out / split / "examples.png")
    if is_main_process():
        run = {"config": cfg.filename, "checkpoint": cfg.get("load_from")}
        write_json({**run, "splits": scores}, out / "splits.json")
        if reports:
            page = write_result_page(reports, folder=out, **run)
            print_log(f"result page: {page}", logger="current")
    return scores


class ExampleImagesHook(Hook):
    """Keep truth and prediction of some images, spread evenly over the data set.

    Args:
        metric: Its classes say which predictions are none.
        keep: How many images.
    """

    def __init__(self, metric: StreetIoUMetric | None, *, keep: int = 4) -> None:
        self.metric = metric
        self.keep = keep
        self._chosen: list[str] = []
        self._kept: dict[str, Candidate] = {}

    def before_test(self, runner: Runner) -> None:
        """Choose the images."""
        dataset = runner.test_loop.dataloader.dataset
        indices = np.linspace(0, len(dataset) - 1, min(self.keep, len(dataset))).round().astype(int)
        self._chosen = [dataset.get_data_info(i)["img_path"] for i in dict.fromkeys(indices.tolist())]

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Sequence | None = None) -> None:
        """Look at one batch."""
        for sample in outputs if self._chosen else ():
            if sample.img_path in self._chosen:
                self._kept[sample.img_path] = keep_candidate(
                    sample, sample.img_path, num_classes=len(self.metric.names), score=float("nan")
                )

    def collect(self) -> list[Candidate]:
        """Return the images of all processes in the order of the data set; every process has to call this."""
        found = {path: kept for part in all_gather_object(self._kept) for path, kept in part.items()}
        return [found[path] for path in self._chosen if path in found]


def _plot_examples(metric: StreetIoUMetric, shown: Sequence[Candidate], path: Path) -> Path:
    palette = (metric.dataset_meta or {}).get("palette") or spread_palette(len(metric.names))
    panels = [Panel(read_rgb(kept.img_path), kept.labels, kept.preds, Path(kept.img_path).name) for kept in shown]
    columns = ("image", "prediction", "truth")
    return plot_panels(
        panels, names=metric.names, palette=palette[: len(metric.names)], path=path, ignore_index=metric.ignore_index, columns=columns
    )
