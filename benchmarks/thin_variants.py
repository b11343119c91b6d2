"""The changes that the thin-class bench tries on its baseline, one at a time and together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mmengine.config import Config

THIN = {"pole": 2, "signsymbol": 6, "pedestrian": 9, "bicyclist": 10}
"""CamVid's thin and small classes and their train ids."""
BASELINE = "baseline"
BEST = "best"


@dataclass(frozen=True)
class Change:
    """One change of the baseline; of a slot, a run has at most one."""

    slot: str
    text: str


CHANGES = {
    "rare_in_view": Change("crops", "every crop covers a pixel of a thin class of its image"),
    "class_uniform": Change("crops", "half of the crops drawn by class, then image, then place"),
    "no_weights": Change("weights", "no class weights"),
    "ohem": Change("pixels", "hard pixels alone: OHEM, confidence below 0.7, a sixteenth of the crop at least"),
    "soft_labels": Change("pixels", "cross entropy with area-averaged labels of 4×4 cells in place of the focal loss"),
    "rmi": Change("pixels", "region mutual information beside the loss, weight 0.5"),
    "lovasz": Change("overlap", "Lovász-Softmax in place of Dice"),
    "lovasz_no_weights": Change("overlap", "Lovász-Softmax in place of Dice, and no class weights"),
    "jaccard": Change("overlap", "soft Jaccard in place of Dice"),
    "tversky": Change("overlap", "Tversky (false positives 0.3, false negatives 0.7) in place of Dice"),
    "boundary": Change("boundary", "boundary-aware term, weight 0.2"),
    "skeleton": Change("skeleton", "skeleton recall of the thin classes, weight 1"),
    "ema": Change("ema", "weights averaged over the last tenth of the iterations"),
}
_OVERLAP = {
    "lovasz": dict(type="mmstreet.LovaszSoftmaxLoss"),
    "lovasz_no_weights": dict(type="mmstreet.LovaszSoftmaxLoss"),
    "jaccard": dict(type="mmstreet.SoftJaccardLoss"),
    "tversky": dict(type="mmstreet.TverskyLoss", alpha=0.3, beta=0.7),
}
_DICE = dict(type="mmstreet.TverskyLoss", alpha=0.5, beta=0.5, loss_name="loss_dice")


def apply_changes(cfg: Config, names: Sequence[str], *, crop_hw: tuple[int, int]) -> Config:
    """Turn the config ``street_camvid`` into the baseline of the bench with these changes, in place.

    The baseline is the pretrained network with focal and Dice loss and square-root weights, on crops drawn evenly. All are scored at the
    frames' own size.

    Args:
        cfg: The config, as :func:`mmstreet.engine.launch.load_config` returns it.
        names: Keys of :data:`CHANGES`, at most one of each slot.
        crop_hw: Size of the crops.

    Raises:
        ValueError: If two changes are of one slot.
    """
    slots = [CHANGES[name].slot for name in names]
    if len(set(slots)) < len(slots):
        raise ValueError(f"two of the changes {', '.join(names)} are of one slot: {', '.join(slots)}")
    head, loader = cfg.model.decode_head, cfg.train_dataloader
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if "ema" in names or hook.type != "EMAHook"]
    head.loss_decode = _losses(head.loss_decode, names)
    if "ohem" in names:
        head.sampler = dict(type="OHEMPixelSampler", thresh=0.7, min_kept=crop_hw[0] * crop_hw[1] // 16)
    head.boundary_weight = 0.2 if "boundary" in names else 0.0
    head.skeleton_weight = 1.0 if "skeleton" in names else 0.0
    cfg.val_dataloader.dataset.pipeline = [step for step in cfg.val_dataloader.dataset.pipeline if step.type != "Resize"]
    cfg.model.data_preprocessor.test_cfg = None
    steps = loader.dataset.pipeline
    crop = next(step for step in steps if step.type == "mmstreet.RandomScaleCrop")
    crop.update(size_hw=crop_hw, prefer=tuple(THIN.values()) if "rare_in_view" in names else ())
    if "skeleton" in names:
        marks = dict(type="mmstreet.MarkSkeletons", classes=list(THIN.values()))
        loader.dataset.pipeline = [*steps[:-1], marks, steps[-1]]
    if "class_uniform" in names:
        loader.dataset = dict(type="mmstreet.ClassUniformSemSeg", dataset=loader.dataset, share=0.5)
    return cfg


def _losses(base: Mapping, names: Sequence[str]) -> list[dict]:
    """Return the losses of the head: one for the pixels, one for the overlap, and what stands beside them."""
    weighted = not {"no_weights", "lovasz_no_weights"} & set(names)
    pixels = dict(base, class_weight=base["class_weight"] if weighted else None)
    share = base["dice_weight"]
    overlap = next((dict(_OVERLAP[name], loss_weight=share) for name in names if name in _OVERLAP), None)
    if "soft_labels" in names:
        pixels = dict(type="mmstreet.SoftLabelLoss", cell_px=4, class_weight=pixels["class_weight"])
        overlap = overlap or dict(_DICE, loss_weight=share)
    elif overlap:
        pixels["dice_weight"] = 0.0
    rmi = [dict(type="mmstreet.RMILoss", loss_weight=0.5)] if "rmi" in names else []
    return [pixels, *([overlap] if overlap else []), *rmi]


def best_combination(gains: Mapping[str, float]) -> list[str]:
    """Choose the changes to try together: of each slot the one that helps most, if it helps at all.

    Args:
        gains: How much better than the baseline's the thin classes of each run are; runs that are no single change are left out.
    """
    best: dict[str, str] = {}
    for name, change in CHANGES.items():
        if gains.get(name, 0.0) > max(0.0, gains.get(best.get(change.slot, ""), 0.0)):
            best[change.slot] = name
    return [name for name in CHANGES if name in best.values()]
