"""Training steps of configs on random images, and where they wait for the device."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from torch import nn

from benchmarks import gpu_parity
from benchmarks.host_waits import HostWait, as_on_device, cpu_waits, cuda_waits
from benchmarks.tiny_clip import save_tiny_clip
from mmstreet.datasets.packing import PinnableSample
from mmstreet.engine.hooks.device import DeviceHook
from mmstreet.engine.hooks.finite_loss import FiniteLossHook
from mmstreet.engine.hooks.late_logs import LateInfoHook
from mmstreet.engine.launch import load_config
from mmstreet.labels import get_table
from mmstreet.models.text_embeddings import save_text_embeddings
from mmstreet.predict.inference import build_model

CONFIGS = Path(__file__).parents[1] / "configs"
_SIZES = ("scale", "size_hw", "crop_size")


def input_hw(cfg: Config) -> tuple[int, int]:
    """Return the size of the images that a config trains on: what the last step that sets one makes of them."""
    sizes = [step[name] if name != "scale" else step[name][::-1] for step in cfg.train_pipeline for name in _SIZES if _gives(step, name)]
    return tuple(sizes[-1])


def _gives(step: dict, name: str) -> bool:
    return name in step and (name != "scale" or step["type"] == "Resize")


def random_batch(count: int, size_hw: tuple[int, int], num_classes: int, **meta: object) -> dict:
    """Make images, and labels in blocks of which some are ignored, as a data loader gives them."""
    rng = torch.Generator().manual_seed(0)
    images, samples = [], []
    for i in range(count):
        ids = torch.randint(num_classes + 1, (8, 8), generator=rng).float()
        labels = nn.functional.interpolate(ids[None, None], size_hw, mode="nearest")[0].long()
        labels[labels == num_classes] = 255
        sample = PinnableSample(metainfo=dict(img_shape=size_hw, ori_shape=size_hw, pad_shape=size_hw, img_path=f"{i}.jpg", **meta))
        sample.gt_sem_seg = PixelData(data=labels)
        samples.append(sample)
        images.append(torch.randint(0, 256, (3, *size_hw), generator=rng, dtype=torch.uint8))
    return dict(inputs=images, data_samples=samples)


def make_step(cfg: Config, device: torch.device, *, batch: int | None = None, shrink: int = 1) -> tuple[nn.Module, OptimWrapper, dict]:
    """Build model, optimizer and one batch of a config.

    Args:
        cfg: Config of a segmentor.
        device: Where it goes.
        batch: Images; default: as the config says, and two of smaller images.
        shrink: Divides both sides of the images.
    """
    torch.manual_seed(0)
    size_hw = tuple(side // shrink for side in input_hw(cfg))
    if shrink > 1 and cfg.model.get("data_preprocessor", {}).get("size"):
        cfg.model.data_preprocessor.size = size_hw
    with DefaultScope.overwrite_default_scope("mmseg"):
        model = build_model(cfg).to(device).train()
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    count = batch or (cfg.train_dataloader.batch_size if shrink == 1 else 2)
    return model, wrapper, random_batch(count, size_hw, model.decode_head.num_classes)


def prepare_device(model: nn.Module, wrapper: OptimWrapper, batch: dict, device: torch.device) -> dict:
    """Set up a run as ``DeviceHook`` does, and pin a batch as the data loader then does."""
    DeviceHook().before_run(SimpleNamespace(model=model, optim_wrapper=wrapper))
    return pinned(batch, device)


def pinned(batch: dict, device: torch.device) -> dict:
    """Return a batch as a data loader pins it where it goes to a GPU: what can be pinned."""
    if device.type != "cuda":
        return batch
    return {name: [part.pin_memory() if hasattr(part, "pin_memory") else part for part in parts] for name, parts in batch.items()}


def count_waits(device: torch.device) -> Iterator[Callable[[], list[dict]]]:
    """Give one job per kind of step, loss and metric: its waits for the device, ours and those of the packages below."""
    for what, make in (
        ("v3", lambda: config_step("deeplabv3_bdd_v3", device, shrink=8)),
        ("CARB", lambda: carb_step(device)),
        ("PixelNet", lambda: config_step("pixelnet_mini", device)),
        *((kind.__name__, lambda kind=kind: gpu_parity.loss_step(kind, device)) for kind in gpu_parity.loss_kinds()),
        *((kind.__name__, lambda kind=kind: gpu_parity.metric_step(kind, device)) for kind in gpu_parity.metric_kinds()),
    ):
        yield lambda what=what, make=make: [count_step(what, make, device)]


def count_step(what: str, make: Callable, device: torch.device) -> dict:
    """Count the waits of the third step."""
    step, tensors = make()
    with nullcontext() if device.type == "cuda" else as_on_device():
        step(), step()  # the first steps check and build what later ones keep
    with cuda_waits() if device.type == "cuda" else cpu_waits(tensors) as waits:
        step()
    return describe_waits(what, waits)


def describe_waits(what: str, waits: list[HostWait]) -> dict:
    """Make a row of the table: ours are counted, all are named."""
    count = sum(wait.package == "mmstreet" for wait in waits)
    places = ", ".join(f"{times} × {wait.what} in {wait.place}" for wait, times in Counter(waits).items())
    return dict(what=f"{what}: waits of ours", value=count, unit="", note=places)


class _Runner:
    iter, epoch, work_dir, hooks = 3, 0, ".", ()
    message_hub = MessageHub("steps")


def training_step(model: nn.Module, wrapper: OptimWrapper, *batches: dict) -> tuple[Callable[[], None], list[torch.Tensor]]:
    """Return a step on the next of the batches, with what every run does with its losses, and the tensors that count as the device's."""
    hooks = LateInfoHook(), FiniteLossHook()
    device = next(model.parameters()).device
    ready = [prepare_device(model, wrapper, batch, device) for batch in batches]
    turns = itertools.cycle(ready)

    def step() -> None:
        batch = next(turns)
        losses = model.train_step(batch, wrapper)
        for hook in hooks:
            hook.after_train_iter(_Runner, 0, batch, losses)

    # cast_data copies nothing on a CPU, so the batches themselves stand for their copies
    data = [tensor for batch in ready for sample in batch["data_samples"] for part in sample.values() for tensor in part.values()]
    images = [image for batch in ready for image in batch["inputs"]]
    return step, [*model.parameters(), *model.buffers(), *images, *(tensor for tensor in data if isinstance(tensor, torch.Tensor))]


def config_step(name: str, device: torch.device, *, shrink: int = 1) -> tuple[Callable[[], None], list[torch.Tensor]]:
    """Return a step of a config on random images, ``shrink`` times smaller."""
    return training_step(*make_step(load_config(CONFIGS / f"{name}.py", launcher="none"), device, shrink=shrink))


def carb_step(device: torch.device) -> tuple[Callable[[], None], list[torch.Tensor]]:
    """Return a step of CARB's dual path with a random teacher, past its warm-up."""
    table = get_table("bdd100k_sem19")
    cfg = load_config(CONFIGS / "carb_mini.py", launcher="none")
    with tempfile.TemporaryDirectory() as place:
        folder = save_tiny_clip(Path(place) / "clip", width=64)
        rows = nn.functional.normalize(torch.randn(len(table), 64, generator=torch.Generator().manual_seed(0)), dim=1).numpy()
        save_text_embeddings(folder / "text.npz", rows, classes=table.names, prompts=table.names, model="random")
        cfg.model.teacher.update(model=str(folder), text_embeddings=str(folder / "text.npz"))
        cfg.model.decode_head.update(text_embeddings=str(folder / "text.npz"))
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope("mmseg"):
            model = build_model(cfg)
            model.decode_head.init_weights()
            model = model.to(device).train()
            wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        teacher = model.teacher(device)
    model.decode_head.loss_decode.warmup_iters = 0
    shown = np.zeros(len(table), bool)
    shown[:6] = True
    step, tensors = training_step(model, wrapper, random_batch(2, (128, 256), len(table), img_label=shown))
    return step, [*tensors, *teacher.parameters(), *teacher.buffers()]
