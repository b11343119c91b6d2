"""One model tested on several splits of its data, such as training and validation."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import build_runner
from mmstreet.evaluation.result_folder import ResultFolder
from mmstreet.evaluation.testing import run_test
from mmstreet.files.atomic import write_json
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.files.split_names import SPLITS

_SCORED_ALIKE = ("pipeline", "table", "metainfo", "test_mode")


def split_config(cfg: Config, split: str) -> Config:
    """Turn a config into one whose test runs over another split.

    Files are those of the split's own data loader; how they are read and scored, batch size and order are the test's, so a training
    split is seen without augmentation and in order.

    Args:
        cfg: A config with a test data loader.
        split: ``'train'``, ``'val'`` or ``'test'``.

    Raises:
        LaunchError: If the config has no loader for the split, its data set joins several that no ``data.yaml`` describes, or an
            evaluator holds the annotations of one split.
    """
    cfg = copy.deepcopy(cfg)
    loader = cfg.get(f"{split}_dataloader")
    if loader is None or cfg.get("test_dataloader") is None:
        raise LaunchError(f"the config has no {split if loader is None else 'test'}_dataloader; give splits that it has")
    files, *others = dataset_parts(loader.dataset)
    if others and not all(part.get("type") == "mmstreet.StreetSemSeg" for part in (files, *others)):
        raise LaunchError(
            f"split '{split}' is a {loader.dataset.type} of several data sets; test them one by one with --cfg-options test_dataloader"
        )
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list | tuple) else [cfg.test_evaluator]
    for evaluator in evaluators:
        if evaluator.get("ann_file") is not None:
            raise LaunchError(f"{evaluator.type} reads the annotations of one split, '{evaluator.ann_file}'; test without --splits")
    tested, wrapper = next(dataset_parts(cfg.test_dataloader.dataset)), cfg.test_dataloader.dataset
    if others:
        parts = {str(part): part for part in (files, *others)}.values()  # each once, however often training repeats it
        cfg.test_dataloader.dataset = dict(type="ConcatDataset", datasets=[_as_tested(part, tested) for part in parts])
        return _named(cfg, split)
    merged = {
        **{key: value for key, value in files.items() if key not in _SCORED_ALIKE},
        **{key: tested[key] for key in _SCORED_ALIKE if key in tested},
    }
    cfg.test_dataloader.dataset = {**wrapper, "dataset": merged} if "dataset" in wrapper else merged
    return _named(cfg, split)


def _as_tested(part: Mapping, tested: Mapping) -> dict:
    """Return a data set of several with the test's pipeline, and its own map from its classes to the common ones."""
    remaps = [step for step in part["pipeline"] if step["type"] == "mmstreet.RemapLabels"]
    steps: list = []
    for step in (step for step in tested["pipeline"] if step["type"] != "mmstreet.RemapLabels"):
        steps += [step, *remaps] if step["type"] == "mmstreet.LoadLabels" else [step]
    return {**part, "pipeline": steps, "test_mode": True}


def _named(cfg: Config, split: str) -> Config:
    cfg.experiment_name = f"{Path(cfg.filename).stem if cfg.filename else 'test'}_{split}"
    return cfg


def run_splits(
    cfg: Config, splits: Sequence[str], *, out: str | Path, images: int = 40, worst: int = 8, examples: int = 4
) -> dict[str, dict]:
    """Test a model on several splits, each in a folder of its own, with the scalars of all in ``splits.json`` above them.

    Args:
        cfg: A config with ``load_from`` set to the checkpoint.
        splits: Names out of :data:`SPLITS`.
        out: Folder for the files; see :func:`~mmstreet.evaluation.testing.run_test`.
        images: How many images to keep of each split at most.
        worst: How many of them for their low mIoU.
        examples: How many of them spread evenly.

    Returns:
        The scalars of each split.

    Raises:
        LaunchError: As :func:`split_config` and :func:`~mmstreet.evaluation.testing.run_test`, and if a split is unknown or given twice.
    """
    out, scores = Path(out), {}
    if not splits or len(set(splits)) != len(splits) or not set(splits) <= set(SPLITS):
        raise LaunchError(f"splits must be different names out of {', '.join(SPLITS)}, got {', '.join(splits) or 'none'}")
    configs = [split_config(cfg, split) for split in splits]  # before any work is done, so that a mistake shows at once
    results = ResultFolder(out, cfg.get("load_from"))
    for split, part in zip(splits, configs):
        runner = build_runner(part)
        print_log(f"split '{split}': {len(runner.test_loop.dataloader.dataset)} images", logger="current")
        scores[split] = run_test(runner, out=out / split, images=images, worst=worst, examples=examples, results=results)
    if is_main_process():
        summary = {"config": cfg.filename, "checkpoint": cfg.get("load_from"), "splits": scores}
        results.add([write_json(summary, out / "splits.json")])
    return scores
