"""Fitting the temperature of a model on one split, measuring it on another, and storing it beside the checkpoint."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from mmstreet.engine.checkpoints import find_checkpoint
from mmstreet.engine.data_workers import data_workers
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import build_runner
from mmstreet.evaluation.semantic_metrics import add_metric
from mmstreet.evaluation.splits import split_config
from mmstreet.evaluation.testing import CheckpointFitHook
from mmstreet.files.atomic import write_json
from mmstreet.metrics.calibration import fit_temperature
from mmstreet.metrics.confidence import CalibrationMetric
from mmstreet.predict.confidence import calibration_path, read_temperature
from mmstreet.predict.exported import is_exported, load_exported
from mmstreet.predict.identity import identify_file

PIXELS = 400_000
"""Labelled pixels, spread over the images, that a temperature is fitted to."""


def calibrate(cfg: Config, *, split: str = "val", check: str | None = None) -> dict:
    """Fit the temperature of a checkpoint and write it beside it, as ``NAME.calibration.json``.

    Args:
        cfg: A config of mmseg with ``load_from`` set to the checkpoint.
        split: Whose pixels it is fitted to; a split that the weights were not trained on.
        check: Another split to measure it on; None measures it nowhere.

    Returns:
        What the file holds: ``temperature``, ``sha256`` of the checkpoint, the scores of both splits.

    Raises:
        LaunchError: If the config has no such split, both are the same, or no temperature fits.
    """
    if check == split:
        raise LaunchError(f"a temperature has to be measured on another split than the one it is fitted to, '{split}'")
    checkpoint = find_checkpoint(cfg.load_from)
    try:
        fitted = _measure(cfg, split, fit=True)
        temperature = fit_temperature(*fitted.sample)
        checked = _measure(cfg, check, temperature=temperature) if check else None
    except ValueError as error:
        raise LaunchError(str(error)) from error
    content = {
        "temperature": temperature,
        "sha256": identify_file(checkpoint)["sha256"],
        "fitted": {"split": split, "pixels": fitted.sample[1].numel(), "scores": fitted.report["metrics"]},
        "checked": {"split": check, "scores": checked.report["metrics"]} if checked else None,
    }
    if is_main_process():
        path = write_json(content, calibration_path(checkpoint))
        print_log(f"temperature {temperature:.4f} written to '{path}'; mmstreet predict, export and test --calibration use it", "current")
    return content


def _measure(cfg: Config, split: str, *, temperature: float | None = None, fit: bool = False) -> CalibrationMetric:
    part = split_config(cfg, split)
    part.test_evaluator = [dict(type="mmstreet.CalibrationMetric", temperature=temperature)]
    runner = build_runner(part)
    runner.register_hook(CheckpointFitHook(), priority="VERY_LOW")
    (metric,) = runner.test_loop.evaluator.metrics
    images = len(runner.test_loop.dataloader.dataset)
    metric.fit_pixels = max(1, PIXELS // images) if fit else 0
    print_log(f"split '{split}': {images} images", "current")
    with data_workers(runner):
        runner.test()
    return metric


def add_calibration(cfg: Config) -> None:
    """Let a test measure calibration, with the checkpoint's temperature if it has one, in place.

    Raises:
        LaunchError: If the temperature is of other weights.
    """
    add_metric(cfg, dict(type="mmstreet.CalibrationMetric", temperature=temperature_of(cfg)))


def temperature_of(cfg: Config) -> float | None:
    """Return the temperature of a config's checkpoint; ``None`` where none was fitted.

    Raises:
        LaunchError: If it is of other weights.
    """
    try:
        if cfg.load_from and is_exported(cfg.load_from):
            return load_exported(cfg.load_from, device="cpu").temperature
        local = cfg.load_from and "://" not in cfg.load_from
        return read_temperature(find_checkpoint(cfg.load_from)) if local else None
    except ValueError as error:
        raise LaunchError(str(error)) from error
