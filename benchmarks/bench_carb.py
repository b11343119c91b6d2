"""CARB's loss in one pass against four masked cross entropies, as the published code computes it; forward and backward, on one thread.

Both sides find the consistent pixels with the same function, which is included. The sides take turns; a ratio is that of the least times
in processor seconds. Peak memory is the growth of the process's resident set above logits and labels, in a process of its own (Linux only).
"""

import torch
import torch.nn.functional as F

from benchmarks.bench_losses import peak_in_logits, time_in_turns
from mmstreet.losses.slabs import carb_loss, predict_present

SHAPES = ((4, 19, 512, 1024), (2, 11, 720, 960))
FACTOR = 0.1


def patch_of(labels):
    """A local patch of a quarter of the width, with labels of its own."""
    width = labels.shape[2] // 4
    return labels.roll(1, 0)[:, :, :width], (0, width)


def one_pass(logits, labels):
    """Ours."""
    patch, offset = patch_of(labels)
    return carb_loss(logits, labels, factor=FACTOR, local_labels=patch, local_offset_yx=offset)


def four_means(logits, labels):
    """Each region masked and given a cross entropy of its own."""
    patch, (y, x) = patch_of(labels)
    preds = predict_present(logits)
    total = 0
    for z, g, s in (
        (logits, labels, preds),
        *((logits[:, :, y : y + h, x : x + w], patch, preds[:, y : y + h, x : x + w]) for h, w in [patch.shape[1:]]),
    ):
        total = total + F.cross_entropy(z, torch.where(g == s, g, 255), ignore_index=255)
        total = total + FACTOR * F.cross_entropy(z, torch.where(g != s, g, 255), ignore_index=255)
    return total


def run(quick=False):
    """Measure; ``quick`` takes small images."""
    rows = []
    for b, c, h, w in SHAPES:
        shape = (b, c, h // 4, w // 4) if quick else (b, c, h, w)
        seconds = time_in_turns({"one": one_pass, "four": four_means}, shape, threads=1, repeats=2 if quick else 5)
        least = {name: min(values) for name, values in seconds.items()}
        rows.append(
            {
                "name": f"four masked means / carb_loss, {shape}, 1 thread",
                "value": least["four"] / least["one"],
                "unit": "ratio",
                "target": ">= 2",
                "note": f"{1e3 * least['four']:.0f} / {1e3 * least['one']:.0f} ms",
            }
        )
        peaks = {name: peak_in_logits(loss, shape) for name, loss in (("one", one_pass), ("four", four_means))}
        rows.append(
            {
                "name": f"peak extra memory of carb_loss / logits, {shape}",
                "value": peaks["one"],
                "unit": "ratio",
                "target": "<= 3",
                "note": f"four masked means {peaks['four']:.2f}",
            }
        )
    return rows


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']:<70} {row['value']:6.2f}  {row['target']:<7} {row['note']}")
