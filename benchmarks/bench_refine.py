"""Refinement inside boxes against loops over maps of the image's size, SAM's prompts in one batch against one forward pass each, and the
CRF on the classes present against the CRF on all.

Seconds are the processor's, the best of rounds in which the sides take turns. Peak memory is what numpy has allocated at most during one
call beyond its input, as ``tracemalloc`` counts it.
"""

from __future__ import annotations

import tempfile
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from benchmarks.train_small_sam import small_sam
from mmstreet.deps import installed
from mmstreet.refine.components import find_components
from mmstreet.refine.fusion import fuse_logits
from mmstreet.refine.prediction import read_prediction
from mmstreet.refine.proposals import Masks
from mmstreet.refine.vote import vote_by_mask

NUM_CLASSES = 19
NUM_PRESENT = 8
NUM_SURFACES = 3


def street(size_hw: tuple[int, int], num_masks: int, *, seed: int = 0) -> tuple[np.ndarray, Masks, np.ndarray]:
    """Make probabilities in bands and boxes, and ellipses of the sizes that SAM's grid finds on a street: many small, a few large.

    Returns:
        Probabilities float32 ``[19, H, W]``, the masks, and the same masks as bool ``[N, H, W]``.
    """
    rng = np.random.default_rng(seed)
    height, width = size_hw
    y, x = np.mgrid[:height, :width]
    labels = (y * NUM_SURFACES // height).astype(np.uint8)
    full = np.zeros((num_masks, height, width), bool)
    for mask in full:
        share = 10 ** rng.uniform(-3.3, -0.9)  # of the image; the mean is near 3 per cent
        aspect = 2 ** rng.uniform(-1.5, 1.5)
        ry, rx = (height * width * share / np.pi / aspect) ** 0.5, (height * width * share / np.pi * aspect) ** 0.5
        cy, cx = rng.random(2) * size_hw
        mask[:] = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1
        labels[mask] = NUM_SURFACES + rng.integers(NUM_PRESENT - NUM_SURFACES)
    probs = np.full((NUM_CLASSES, height, width), 0.4 / (NUM_CLASSES - 1), np.float32)
    np.put_along_axis(probs, labels[None].astype(np.int64), 0.6, 0)
    return probs, Masks.from_full(full, scores=rng.uniform(0.7, 1, num_masks).astype(np.float32)), full


def vote_by_full_maps(labels: np.ndarray, full: np.ndarray) -> np.ndarray:
    """The vote as it is usually written: every mask as a map of the image's size."""
    voted = labels.copy()
    for mask in sorted(full, key=lambda mask: -mask.sum()):
        votes = np.bincount(labels[mask & (labels != 255)], minlength=256)
        if votes.sum() and votes.max() >= 0.5 * votes.sum() and (votes == votes.max()).sum() == 1:
            voted[mask & (labels != 255)] = votes.argmax()
    return voted


def fuse_by_full_maps(prediction, components, full, scores) -> np.ndarray:
    """Add to log probabilities, every region and mask as a map of the image's size."""
    labels = prediction.labels
    total = np.log(np.clip(prediction.probs, 1e-5, 1))
    for component, mask, score in zip(components, full, scores):
        own = np.zeros(labels.shape, bool)
        own[component.window] = component.crop
        k = prediction.class_ids.tolist().index(component.class_id)
        total[k] += 2 * score * np.where(mask, 1, np.where(own, -1, 0)).astype(np.float32)
    return prediction.class_ids[total.argmax(0)]


def best_seconds(sides: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least processor seconds of each side."""
    best = dict.fromkeys(sides, float("inf"))
    for _ in range(rounds):
        for name, side in sides.items():
            start = time.process_time()
            side()
            best[name] = min(best[name], time.process_time() - start)
    return best


def peak_mib(side: Callable[[], object]) -> float:
    """Most memory that one call holds beyond what was there."""
    tracemalloc.start()
    side()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def run(quick: bool = False) -> list[dict]:
    """Measure; ``quick`` takes a sixteenth of the pixels, where the fixed price of a mask weighs more."""
    size_hw, count, rounds = ((256, 512), 50, 1) if quick else ((1024, 2048), 200, 3)
    probs, masks, full = street(size_hw, count)
    prediction = read_prediction(probs, size_hw=size_hw, num_classes=NUM_CLASSES)
    setting = f"{count} masks, {size_hw[0]}x{size_hw[1]}"
    fusion, regions = _fusion(prediction)
    ways = {
        f"vote, {setting}": (lambda: vote_by_mask(prediction.labels, masks)[0], lambda: vote_by_full_maps(prediction.labels, full)),
        f"fusion, {regions} regions, {size_hw[0]}x{size_hw[1]}": fusion,
    }
    rows = []
    for name, (ours, theirs) in ways.items():
        seconds = best_seconds({"ours": ours, "full maps": theirs}, rounds)
        note = f"{seconds['full maps']:.2f} s / {seconds['ours']:.3f} s; share of equal pixels {(ours() == theirs()).mean():.4f}"
        rows.append((f"full maps / boxes, {name}", seconds["full maps"] / seconds["ours"], "x", ">= 5", note))
        rows.append((f"peak memory, {name}", peak_mib(ours), "MiB", "< 1000", "beyond probabilities and masks"))
    soft = best_seconds({"soft": lambda: vote_by_mask(prediction.labels, masks, probs=prediction.probs, class_ids=prediction.class_ids)}, 1)
    rows.append((f"soft vote, {len(prediction.class_ids)} classes present, {setting}", soft["soft"], "s", "", ""))
    if installed("transformers"):
        rows.append(_prompts("0.7 M parameters", small_sam, 8 if quick else 32, rounds=rounds))
        if not quick:
            rows.append(_prompts("base", base_sam, 32, asked_alone=4, rounds=1))
    if installed("pydensecrf"):
        rows.append(_crf((64, 128) if quick else (256, 512), probs, rounds=1))
    return [dict(zip(("name", "value", "unit", "target", "note"), row)) for row in rows]


def _fusion(prediction) -> tuple[tuple[Callable[[], np.ndarray], Callable[[], np.ndarray]], int]:
    """Ours and the plain way on the map's regions of things, each mask its region rolled by a few pixels in its box; and their number."""
    size_hw = prediction.labels.shape
    components = find_components(prediction.labels, [i for i in prediction.class_ids if i >= NUM_SURFACES], min_area_px=16, limit=200)
    moved = np.zeros((len(components), *size_hw), bool)
    for mask, component in zip(moved, components):
        mask[component.window] = np.roll(component.crop, 3, (0, 1))
    masks = Masks.from_full(moved, scores=np.linspace(0.7, 1, len(moved)))
    ours, theirs = (
        lambda: fuse_logits(prediction, components, masks),
        lambda: fuse_by_full_maps(prediction, components, moved, masks.scores),
    )
    return (ours, theirs), len(components)


def base_sam() -> object:
    """SAM with ViT-B, 94 million random weights, frames of 1024: transformers' default configuration."""
    from transformers import SamConfig, SamModel

    return SamModel(SamConfig())


def _prompts(name: str, make: Callable[[], object], count: int, *, asked_alone: int | None = None, rounds: int) -> tuple:
    """Time a SAM of random weights, for how long an answer takes does not depend on how good it is.

    One forward pass per prompt is timed for the first ``asked_alone`` prompts, and counted as often as there are prompts.
    """
    from mmstreet.refine.proposals import Prompts
    from mmstreet.refine.sam import SAMMasks

    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (360, 640, 3), dtype=np.uint8)
    corners = rng.uniform(0, [560, 300], (count, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(10, 60, (count, 2))], 1).astype(np.float32)
    prompts = Prompts(boxes, boxes.reshape(-1, 2, 2).mean(1)[:, None], np.ones((count, 1), np.int64))
    with tempfile.TemporaryDirectory() as folder:
        make().save_pretrained(folder)
        source = SAMMasks(weights=folder, device="cpu")

    def one_by_one() -> list[Masks]:
        return [
            source.predict(image, Prompts(prompts.boxes_xyxy[i : i + 1], prompts.points_xy[i : i + 1], prompts.point_labels[i : i + 1]))
            for i in range(asked_alone or count)
        ]

    batched, single = source.predict(image, prompts), one_by_one()
    same = np.mean([(a == b.crops[0]).mean() if a.shape == b.crops[0].shape else 0.0 for a, b in zip(batched.crops, single)])
    seconds = best_seconds({"ours": lambda: source.predict(image, prompts), "single": one_by_one}, rounds)
    single_s = seconds["single"] * count / (asked_alone or count)
    note = f"{single_s:.2f} s / {seconds['ours']:.2f} s; share of equal pixels {same:.4f}"
    note += f"; {asked_alone} of {count} single passes timed" if asked_alone else ""
    return f"one forward pass per prompt / image encoded once, {count} prompts, SAM {name}", single_s / seconds["ours"], "x", ">= 5", note


def _crf(size_hw: tuple[int, int], probs: np.ndarray, *, rounds: int) -> tuple:
    from mmstreet.refine.crf import mean_field

    step = probs.shape[1] // size_hw[0]
    small = np.ascontiguousarray(probs[:, ::step, ::step])
    present = np.unique(small.argmax(0))
    image = (small.argmax(0)[..., None] * np.array([9, 12, 5]) + np.random.default_rng(0).integers(0, 30, (*size_hw, 3))).astype(np.uint8)
    seconds = best_seconds({"present": lambda: mean_field(image, small[present]), "all": lambda: mean_field(image, small)}, rounds)
    same = (present[mean_field(image, small[present]).argmax(0)] == mean_field(image, small).argmax(0)).mean()
    note = f"{seconds['all']:.2f} s / {seconds['present']:.2f} s; share of equal pixels {same:.4f}"
    return (
        f"CRF, all {NUM_CLASSES} classes / the {len(present)} present, {size_hw[0]}x{size_hw[1]}",
        seconds["all"] / seconds["present"],
        "x",
        "",
        note,
    )


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<72} {row['value']:>9.3g} {row['unit']:<6} {row['target'] or '':<8} {row['note']}")
