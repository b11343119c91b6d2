"""The focal and Dice loss against torch's cross entropy, its own plain form and segmentation_models.pytorch's losses, forward and backward.

The sides take turns, so that a busy moment hits all of them; a ratio is that of the least times, with that of the medians in the note. One
thread is measured in processor seconds, which other programs lengthen less; two threads by the clock, so the machine should be idle.
Peak memory is the growth of the process's resident set above the logits and labels, in a process of its own (Linux only). The peer's losses
are loaded by file: its package imports timm and torchvision, which the losses do not use.
"""

import importlib.util
import multiprocessing
import re
import statistics
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from mmseg.models.losses import accuracy

from mmstreet.losses import functional
from mmstreet.losses.focal_dice import COMPILED_FROM, focal_dice_loss
from mmstreet.models.decode_losses import pixel_accuracy

SHAPES = ((4, 6, 512, 1024), (2, 19, 256, 512))
PEER = "segmentation_models_pytorch"


def make_inputs(shape):
    """Logits, and labels of which a tenth is ignored."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(shape[1], (shape[0], *shape[2:]), generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < 0.1] = 255
    return torch.randn(shape, generator=rng).requires_grad_(), labels


def cross_entropy(logits, labels):
    """torch's own loss."""
    return F.cross_entropy(logits, labels, ignore_index=255)


def ours(logits, labels):
    """All that v2 and v3 use: class weights, focal and Dice."""
    return focal_dice_loss(logits, labels, class_weight=torch.linspace(0.1, 10, logits.shape[1]))


def plain(logits, labels):
    """The same in its plain form, differentiated by torch."""
    return functional.focal_dice_loss(logits, labels, class_weight=torch.linspace(0.1, 10, logits.shape[1]))


def accuracy_of_mmseg(logits, labels):
    """What mmseg computes beside every loss; it has no backward pass."""
    return accuracy(logits.detach(), labels, ignore_index=255)


def accuracy_of_ours(logits, labels):
    """What our heads compute beside a loss that does not know its accuracy."""
    return pixel_accuracy(logits.detach(), labels)


def load_peer():
    """FocalLoss + 0.3 DiceLoss of segmentation_models.pytorch, or None where it is not installed."""
    package = importlib.util.find_spec(PEER)
    if package is None:
        return None
    folder = Path(package.submodule_search_locations[0]) / "losses"
    spec = importlib.util.spec_from_file_location("smp_losses", folder / "__init__.py", submodule_search_locations=[str(folder)])
    module = sys.modules["smp_losses"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    focal = module.FocalLoss("multiclass", gamma=2.0, ignore_index=255)
    dice = module.DiceLoss("multiclass", ignore_index=255)
    return lambda logits, labels: focal(logits, labels) + 0.3 * dice(logits, labels)


def time_in_turns(losses, shape, *, threads, repeats):
    """Seconds of forward and backward, one list per loss; the first round is not counted."""
    clock = time.process_time if threads == 1 else time.perf_counter
    logits, labels = make_inputs(shape)
    seconds = {name: [] for name in losses}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(repeats + 1):
            for name, loss in losses.items():
                logits.grad = None
                start = clock()
                value = loss(logits, labels)
                if value.requires_grad:
                    value.backward()
                seconds[name].append(clock() - start)
    finally:
        torch.set_num_threads(before)
    return {name: values[1:] for name, values in seconds.items()}


def _resident_bytes(field):
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) * 1024


def _measure_peak(connection, loss, shape):
    torch.set_num_threads(1)
    loss(*make_inputs((1, shape[1], 1024, 1 + COMPILED_FROM // 1024 // shape[1]))).backward()  # loads the kernels
    logits, labels = make_inputs(shape)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    before = _resident_bytes("VmRSS")
    loss(logits, labels).backward()
    connection.send((_resident_bytes("VmHWM") - before) / (logits.numel() * logits.element_size()))


def peak_in_logits(loss, shape):
    """Peak extra memory of forward and backward, the gradient included, in sizes of the logits."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_peak, args=(sender, loss, shape))
    process.start()
    sender.close()
    peak = receiver.recv()
    process.join()
    return peak


def run(quick=False):
    """Measure; ``quick`` takes small images, where the fixed price of a call weighs more."""
    shapes = [(b, c, h // 4, w // 4) for b, c, h, w in SHAPES] if quick else SHAPES
    losses = {"cross entropy": cross_entropy, "ours": ours, "plain": plain, "their acc": accuracy_of_mmseg, "our acc": accuracy_of_ours}
    peer = load_peer()
    if peer is not None:
        losses["peer"] = peer
    rows = []
    for shape in shapes:
        for threads in (1, 2):
            seconds = time_in_turns(losses, shape, threads=threads, repeats=2 if quick else 9)
            least = {name: min(values) for name, values in seconds.items()}
            middle = {name: statistics.median(values) for name, values in seconds.items()}
            where = f"{shape}, {threads} thread{'s'[: threads - 1]}"
            for name, above, below, target, before in (
                ("focal_dice_loss with accuracy / F.cross_entropy", "ours", "cross entropy", "< 1.0", {6: 1.19, 19: 1.38}[shape[1]]),
                ("mmseg's accuracy / F.cross_entropy", "their acc", "cross entropy", "", None),
                ("pixel_accuracy / F.cross_entropy", "our acc", "cross entropy", "< 0.15", None),
                ("plain form / focal_dice_loss", "plain", "ours", "> 1", None),
                ("smp FocalLoss + DiceLoss / focal_dice_loss", "peer", "ours", ">= 6", None),
            ):
                if above not in least:
                    rows.append(
                        _row(f"{name}, {where}", float("nan"), target, f"not measured: pip install --no-deps {PEER.replace('_', '-')}")
                    )
                    continue
                note = f"medians {middle[above] / middle[below]:.2f}; {1e3 * least[above]:.0f} / {1e3 * least[below]:.0f} ms"
                rows.append(_row(f"{name}, {where}", least[above] / least[below], target, note, before))
        peak, *others = (peak_in_logits(loss, shape) for loss in (ours, cross_entropy, plain))
        note = "F.cross_entropy {:.2f}, plain form {:.2f}".format(*others)
        rows.append(_row(f"peak extra memory / logits, {shape}", peak, "<= 1.1", note, 2.2))
    return rows


def _row(name, value, target, note, before=None):
    return {"name": name, "value": value, "unit": "ratio", "target": target, "note": note, "before": before}


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<80} {row['value']:6.2f}  {row['target']:<7} {row['note']}")
