"""What a config that leaves it open does on a GPU: pinned memory, and optimizers in one kernel."""

from __future__ import annotations

from mmengine.config import Config

_FUSED = ("SGD", "Adam", "AdamW")


def set_for_gpu(cfg: Config) -> None:
    """Settle for a GPU what a config says nothing about.

    Batches are pinned, so that their way to the GPU is not waited for. torch's optimizers update all weights in one kernel (``fused``);
    in mixed precision nobody waits then to know whether a gradient overflowed. Results differ by rounding from those of a CPU.

    Args:
        cfg: Config of a run; changed in place.
    """
    for loader in ("train_dataloader", "val_dataloader", "test_dataloader"):
        if cfg.get(loader):
            cfg[loader].setdefault("pin_memory", True)
    optimizer = (cfg.get("optim_wrapper") or {}).get("optimizer") or {}
    chosen = {"fused", "foreach", "capturable", "differentiable"} & optimizer.keys()
    if str(optimizer.get("type")).rpartition(".")[2] in _FUSED and not chosen:
        optimizer.fused = True
