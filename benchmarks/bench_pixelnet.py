"""PixelNet's head against the plain way: the whole hypercolumn, interpolated and concatenated, then the layers as 1×1 convolutions.

Both sides get VGG16-sized feature maps and one hidden layer of 512, and only the head is measured: processor seconds of one thread,
which other programs on the machine do not lengthen much, the best of two rounds that take turns. Peak memory is the growth
of the process's resident set above the feature maps and weights, each side in a process of its own (Linux only).
"""

import multiprocessing
import re
import time
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F

from mmstreet.models.hypercolumn import dense_logits, sample_levels, sample_uniform

CHANNELS, STRIDES, NUM_CLASSES = (64, 128, 256, 512, 512), (1, 2, 4, 8, 16), 19
WIDTHS = (512,)


def make_inputs(batch, size_hw, *, requires_grad):
    """VGG16's five levels for ``batch`` images, and the layers of the perceptron."""
    torch.manual_seed(0)
    feats = [torch.rand(batch, c, size_hw[0] // s, size_hw[1] // s).requires_grad_(requires_grad) for c, s in zip(CHANNELS, STRIDES)]
    layers = [
        ((torch.randn(b, a) / a**0.5).requires_grad_(requires_grad), torch.zeros(b, requires_grad=requires_grad))
        for a, b in pairwise((sum(CHANNELS), *WIDTHS, NUM_CLASSES))
    ]
    return feats, layers


def plain_logits(feats, layers, size_hw):
    """Upsample every level to the image, concatenate, then project."""
    out = torch.cat([F.interpolate(feat, size=size_hw, mode="bilinear", align_corners=False) for feat in feats], dim=1)
    for i, (weight, bias) in enumerate(layers):
        out = F.conv2d(F.relu(out) if i else out, weight[:, :, None, None], bias)
    return out


def train_plain(feats, layers, size_hw, labels):
    """Forward and backward over every pixel."""
    F.cross_entropy(plain_logits(feats, layers, size_hw), labels, ignore_index=255).backward()


def train_sampled(feats, layers, size_hw, labels, num_pixels=2000):
    """Forward and backward over sampled pixels; drawing them is part of the price."""
    pixels = torch.stack([sample_uniform(label, num_pixels) for label in labels])
    out = sample_levels(feats, pixels, size_hw).flatten(0, 1)
    for i, (weight, bias) in enumerate(layers):
        out = F.linear(F.relu(out) if i else out, weight, bias)
    F.cross_entropy(out, labels.flatten(1).gather(1, pixels).flatten()).backward()


def _resident_mib(field):
    return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text()).group(1)) / 1024


def _measure(connection, way, batch, size_hw):
    torch.set_num_threads(1)
    small = make_inputs(1, (16, 16), requires_grad=True)
    train_sampled(*small, (16, 16), torch.zeros(1, 16, 16, dtype=torch.int64), 4)  # loads the kernels
    feats, layers = make_inputs(batch, size_hw, requires_grad=way in (train_plain, train_sampled))
    labels = (torch.randint(NUM_CLASSES, (batch, *size_hw)),) if way in (train_plain, train_sampled) else ()
    before, start = _resident_mib("VmRSS"), time.process_time()
    way(feats, layers, size_hw, *labels)
    connection.send((time.process_time() - start, _resident_mib("VmHWM") - before))


def measure(cases, rounds):
    """Least seconds and most MiB of each case ``(way, batch, size_hw)``, every call in a fresh process."""
    context, found = multiprocessing.get_context("spawn"), {case: [] for case in cases}
    for case in cases * rounds:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_measure, args=(sender, *case))
        process.start()
        sender.close()
        found[case].append(receiver.recv())
        process.join()
    return [(min(s for s, _ in found[case]), max(mib for _, mib in found[case])) for case in cases]


def run(quick=False):
    """Measure; ``quick`` takes a sixteenth of the pixels, where the fixed price of a sample weighs more."""
    shrink, rounds = (4, 1) if quick else (1, 2)
    train_hw, *dense_hw = ((h // shrink, w // shrink) for h, w in ((256, 512), (256, 512), (512, 1024), (1024, 2048)))
    setting = f"5x{train_hw[0]}x{train_hw[1]}, 2000 px each"
    (plain_s, plain_mib), (ours_s, ours_mib) = measure([(train_plain, 5, train_hw), (train_sampled, 5, train_hw)], rounds)
    rows = [
        (f"head fwd+bwd, plain / sampled, {setting}", plain_s / ours_s, "x", ">= 20", f"{plain_s:.2f} s / {ours_s:.2f} s"),
        (f"peak memory, sampled / plain, {setting}", ours_mib / plain_mib, "of it", "<= 0.1", f"{ours_mib:.0f} MiB / {plain_mib:.0f} MiB"),
    ]
    (plain_s, plain_mib), *dense = measure([(plain_logits, 1, dense_hw[1]), *((dense_logits, 1, size) for size in dense_hw)], rounds)
    note = f"{plain_s:.2f} s / {dense[1][0]:.2f} s; {plain_mib:.0f} MiB / {dense[1][1]:.0f} MiB"
    rows.append((f"dense inference, plain / tiled, {dense_hw[1][0]}x{dense_hw[1][1]}", plain_s / dense[1][0], "x", ">= 3", note))
    for (height, width), (seconds, mib) in zip(dense_hw, dense):
        name, note = f"dense inference {height}x{width}", f"{seconds:.2f} s in all; growth is linear where this number stays"
        rows.append((f"{name}, time per megapixel", seconds / (height * width / 1e6), "s", None, note))
        note = f"of these {height * width * NUM_CLASSES * 4 / 2**20:.0f} MiB are the logits"
        rows.append((f"{name}, head memory beyond the maps", mib, "MiB", "<= 300", note))
    return [dict(zip(("name", "value", "unit", "target", "note"), row)) for row in rows]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<72} {row['value']:>9.3g} {row['unit']:<6} {row['target'] or '':<8} {row['note']}")
