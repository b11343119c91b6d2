"""Predictions per second, and whether a training that was stopped goes on as if it had not been, on an accelerator."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmstreet.engine.launch import build_runner, load_config
from mmstreet.mini.drive import render_drive
from mmstreet.mini.writer import MiniSettings, write_mini_dataset
from mmstreet.predict import Predictor
from mmstreet.predict.inference import build_model

CONFIGS = Path(__file__).parents[1] / "configs"


def measure_predictions(device: torch.device, *, quick: bool) -> Iterator[Callable[[], list[dict]]]:
    """Give one job that predicts images of 1280×720 from array to label map, in every way that the predictor has."""
    small = device.type == "cpu" and quick
    yield lambda: _predict("deeplabv3_mini_v3" if small else "deeplabv3_bdd_v3", (1280, 720), device, quick=quick)
    yield lambda: _predict("street_bdd", (1280, 720), device, quick=quick)


def _predict(name: str, size_wh: tuple[int, int], device: torch.device, *, quick: bool) -> list[dict]:
    small = device.type == "cpu" and quick
    batch, rounds = (1, 1) if small else (8, 3 if quick else 10)
    (picture,) = render_drive(frames=1, size_wh=(size_wh[0] // 4, size_wh[1] // 4) if small else size_wh)
    images, rows = [picture.image] * batch, []
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pth"
        torch.manual_seed(0)
        torch.save({"state_dict": build_model(load_config(CONFIGS / f"{name}.py", launcher="none")).state_dict()}, weights)
        labels = {}
        for what, half, channels_last in (
            ("float32", False, False),
            ("half", True, False),
            ("channels-last", False, True),
            ("half, channels-last", True, True),
        ):
            options = dict(half=half, channels_last=channels_last)
            predictor = Predictor(CONFIGS / f"{name}.py", weights, device=str(device), batch_size=batch, **options)
            list(predictor.predict_all(images * 2))
            start = time.perf_counter()
            results = list(predictor.predict_all(images * rounds))
            seconds = (time.perf_counter() - start) / rounds / batch
            labels[what] = results[0].labels
            same = 100 * (labels[what] == labels["float32"]).mean()
            alone = 1 / _time_network(predictor, images, rounds, device)
            note = f"batch {batch}, array to labels; the network alone {alone:.4g}; {same:.2f} % of the pixels as float32"
            rows.append(dict(what=f"{name}: {what}", value=1 / seconds, unit="images/s", note=note))
    return rows


@torch.inference_mode()
def _time_network(predictor: Predictor, images: list, rounds: int, device: torch.device) -> float:
    """Return the seconds per image from a batch on the device to logits at the size of the input."""
    model = predictor.model
    ((_, batch),) = model.make_batches(images, 1.0)
    meta = [sample.metainfo for sample in batch["data_samples"]]
    with model.precision():
        for i in range(rounds + 1):
            if i == 1:
                _finish(device)
                start = time.perf_counter()
            model.model.inference(batch["inputs"], meta)
        _finish(device)
    return (time.perf_counter() - start) / rounds / len(images)


def check_resume(device: torch.device) -> Iterator[Callable[[], list[dict]]]:
    """Give one job that trains the mini set with ``deterministic=True``, once in one go and once stopped half-way."""
    yield lambda: [_resume(device)]


def _resume(device: torch.device) -> dict:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_mini_dataset(folder / "data", MiniSettings(train=8, val=2, size_wh=(320, 180)), workers=1)
        states = []
        try:
            for kind in ("whole", "parts"):
                for epochs in (2,) if kind == "whole" else (1, 2):
                    states.append(_train(folder / "data", folder / kind, epochs))
        finally:
            torch.use_deterministic_algorithms(False)
            torch.backends.cudnn.deterministic = False
    whole, resumed = states[0], states[2]
    apart = [name for name, value in whole.items() if not torch.equal(value, resumed[name])]
    changed = any(not torch.equal(value, states[1][name]) for name, value in whole.items())
    note = f"first: {apart[0]}" if apart else f"{len(whole)} tensors equal"
    failed = bool(apart) or not changed
    return dict(what="tensors that differ after a resume, v3 on the mini set", value=len(apart), note=note, failed=failed)


class _StopHook(Hook):
    """End a training after so many epochs, as if it had been stopped."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def after_train_epoch(self, runner: Runner) -> None:
        runner.train_loop.stop_training = runner.epoch + 1 >= self.epochs


def _train(data: Path, work_dir: Path, epochs: int) -> dict[str, torch.Tensor]:
    options = {
        "randomness.deterministic": True,
        "env_cfg.cudnn_benchmark": False,
        "train_dataloader.dataset.data_root": str(data),
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
    }
    cfg = load_config(CONFIGS / "deeplabv3_mini_v3.py", work_dir=work_dir, launcher="none", cfg_options=options, resume=True, epochs=2)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = cfg.test_dataloader = cfg.test_cfg = cfg.test_evaluator = None
    cfg.default_hooks.checkpoint.pop("save_best")
    cfg.default_hooks.checkpoint.pop("rule")
    cfg.log_level = "WARNING"
    cfg.load_from = cfg.load_from if cfg.get("resume") else None
    cfg.experiment_name = f"{work_dir.name}{epochs}"
    runner = build_runner(cfg)
    runner.register_hook(_StopHook(epochs))
    runner.train()
    return {name: value.detach().cpu().clone() for name, value in runner.model.state_dict().items()}


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
