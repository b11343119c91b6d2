"""The focal and Dice loss as compiled loops over pixels, for float32 on a CPU: extra ``fast``.

numba compiles them when they are first called, in about ten seconds, and keeps the result on disk. The scores are read once for the sums
and once for the gradient, into blocks that stay in the cache: maps whose sizes are powers of two would push each other out of it. Beside
the gradient nothing of the size of the logits is kept. Loops are many and short, because LLVM uses the processor's vectors only where it
can see that few arrays do not overlap. :mod:`mmstreet.losses.focal_dice` has the formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor

F = np.float32
_JIT = dict(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})
_BLOCK, _CHUNK = 256, 2**14  # pixels that are worked on together, and that a thread takes at a time
_MAPS = 6  # rows of a block that ``_look`` fills
_ROW = 4  # focal loss, right, valid and stray pixels; then overlap, predicted and present pixels by class
_NO_WEIGHTS = np.empty((0, 0), F)


def measure(
    logits: Tensor, labels: Tensor, weights: Tensor, pixel_weight: Tensor | None, gamma: float, ignore_index: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return focal loss, right and valid pixels, ``[3]``; overlap, predicted and present pixels, ``[3, C]``; and whether a label is stray.

    Args:
        logits: Contiguous float32 ``[B, C, ...]``.
        labels: Integers ``[B, ...]``.
        weights: Of the classes, float32 ``[C]``.
        pixel_weight: As the labels.
        gamma: Focus on hard pixels.
        ignore_index: Label of the pixels that do not count.
    """
    scores, ids, counts = _as_arrays(logits, labels, pixel_weight)
    classes = scores.shape[1]
    rows = np.zeros((_jobs(scores), _ROW + 3 * classes))
    _share(_measure, len(rows), scores, ids, counts, weights.numpy(), F(gamma), ignore_index, rows)
    focal, right, valid, stray, *by_class = torch.from_numpy(rows.sum(0)).to(weights.dtype)
    return torch.stack([focal, right, valid]), torch.stack(by_class).view(3, classes), stray > 0


def differentiate(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor,
    pixel_weight: Tensor | None,
    per_prob: Tensor,
    per_hit: Tensor,
    gamma: float,
    ignore_index: int,
) -> Tensor:
    """Return the gradient; ``weights``, ``per_prob`` and ``per_hit``, ``[C]`` each, are those of ``focal_dice``'s backward pass."""
    scores, ids, counts = _as_arrays(logits, labels, pixel_weight)
    grad = torch.empty_like(logits)
    by_class = (values.numpy() for values in (weights, per_prob, per_hit))
    _share(_differentiate, _jobs(scores), scores, ids, counts, *by_class, F(gamma), ignore_index, grad.flatten(2).numpy())
    return grad


def _as_arrays(logits: Tensor, labels: Tensor, pixel_weight: Tensor | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counts = _NO_WEIGHTS if pixel_weight is None else pixel_weight.detach().flatten(1).float().contiguous().numpy()
    return logits.detach().flatten(2).numpy(), labels.flatten(1).long().contiguous().numpy(), counts


def _jobs(scores: np.ndarray) -> int:
    return len(scores) * -(-scores.shape[2] // _CHUNK)


def _share(loop: Callable, jobs: int, *arguments: object) -> None:
    """Run a loop for all jobs, on as many threads as torch uses, of which each takes the next; who takes which changes no sum."""
    threads = max(1, min(torch.get_num_threads(), jobs))
    if threads == 1:
        loop(0, jobs, *arguments)
        return
    waiting = iter(range(jobs))

    def work() -> None:
        for job in waiting:
            loop(job, job + 1, *arguments)

    with ThreadPoolExecutor(threads - 1) as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        work()  # not idle while a core that torch's own threads still hold is late
    for other in others:
        other.result()


def _reread(result: types.Type, argument: types.Type) -> tuple:
    """Return the signature and the code that reads the bits of one type as another."""
    return result(argument), lambda context, builder, _, values: builder.bitcast(values[0], context.get_value_type(result))


@intrinsic
def _as_float(_, bits):
    return _reread(types.float32, types.int32)


@intrinsic
def _as_bits(_, number):
    return _reread(types.int32, types.float32)


# Polynomials of Cephes (Moshier, 1989), to 2e-7 of the value; ln 2 in two parts.
_LN2_HIGH, _LN2_LOW, _LOG2_E = F(0.693359375), F(-2.12194440e-4), F(1.44269504088896341)
_ONE, _ZERO, _HALF, _TINY, _LEAST = F(1), F(0), F(0.5), F(1.2e-38), F(-87)
_E0, _E1, _E2, _E3, _E4 = F(1.9875691500e-4), F(1.3981999507e-3), F(8.3334519073e-3), F(4.1665795894e-2), F(1.6666665459e-1)
_L0, _L1, _L2, _L3, _L4 = F(7.0376836292e-2), F(-1.1514610310e-1), F(1.1676998740e-1), F(-1.2420140846e-1), F(1.4249322787e-1)
_L5, _L6, _L7, _L8 = F(-1.6668057665e-1), F(2.0000714765e-1), F(-2.4999993993e-1), F(3.3333331174e-1)
_EXPONENT, _MANTISSA, _HALF_BITS, _ROOT_HALF = np.int32(23), np.int32(0x7FFFFF), np.int32(0x3F000000), F(0.70710678118654752)


@njit(inline="always")
def _exp(x):
    """exp of numbers up to 0; 1.6e-38 below -87."""
    x = x if x > _LEAST or x != x else _LEAST
    n = np.floor(x * _LOG2_E + _HALF)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    tail = ((((_E0 * r + _E1) * r + _E2) * r + _E3) * r + _E4) * r + _HALF
    return (tail * r * r + r + _ONE) * _as_float((np.int32(n) + np.int32(127)) << _EXPONENT)


@njit(inline="always")
def _log(x):
    """log of normal numbers."""
    bits = _as_bits(x)
    n = F((bits >> _EXPONENT) - np.int32(126))
    m = _as_float((bits & _MANTISSA) | _HALF_BITS)
    small = m < _ROOT_HALF
    n = n - _ONE if small else n
    m = m + m - _ONE if small else m - _ONE
    tail = ((((((((_L0 * m + _L1) * m + _L2) * m + _L3) * m + _L4) * m + _L5) * m + _L6) * m + _L7) * m + _L8) * m
    return m + ((tail - _HALF) * m * m + n * _LN2_LOW) + n * _LN2_HIGH


@njit(inline="always")
def _miss(log_p, p):
    """1 - p, exact where p is near 1, and never 0."""
    near = -log_p * (_ONE + _HALF * log_p)
    return max(near if log_p > F(-1e-3) else _ONE - p, _TINY)


@njit(**_JIT)
def _look(scores, ids, counts, weights, ignore_index, first, width, exps, target, maps):
    """Fill ``exps`` with exponentials less the highest score, ``target`` with classes, and the rows of ``maps``; count stray labels.

    The rows: highest score, sum of ``exps``, the target's score less the highest, its class weight, how often and whether the pixel counts.
    """
    classes, strays = len(scores), 0
    top, total, shift, weight, count, valid = maps[0], maps[1], maps[2], maps[3], maps[4], maps[5]
    for i in range(width):
        y = ids[first + i]
        inside = (y >= 0) & (y < classes)
        strays += (not inside) & (y != ignore_index)
        target[i] = np.uint32(y) if inside else np.uint32(0)
        valid[i] = _ONE if inside & (y != ignore_index) else _ZERO
        count[i] = valid[i]
    if len(counts):
        for i in range(width):
            count[i] *= counts[first + i]
    for i in range(width):
        exps[0, i] = scores[0, first + i]
        top[i] = exps[0, i]
    for c in range(1, classes):
        for i in range(width):
            score = scores[c, first + i]
            exps[c, i] = score
            top[i] = score if score > top[i] else top[i]
    for i in range(width):
        shift[i] = exps[target[i], i] - top[i]
        weight[i] = weights[target[i]]
    total[:] = _ZERO
    for c in range(classes):
        for i in range(width):
            e = _exp(exps[c, i] - top[i])
            exps[c, i] = e
            total[i] += e
    return strays


@njit(cache=True, **_JIT)
def _measure(first_job, last_job, scores, ids, counts, weights, gamma, ignore_index, rows):
    """Add the sums of each job to its row."""
    classes, pixels = scores.shape[1], scores.shape[2]
    exps, maps, target = np.empty((classes, _BLOCK), F), np.empty((_MAPS + 1, _BLOCK), F), np.empty(_BLOCK, np.uint32)
    total, log_p, weight, count, valid_at, prob = maps[1], maps[2], maps[3], maps[4], maps[5], maps[6]
    jobs_of_image = len(rows) // len(scores)
    for job in range(first_job, last_job):
        image, start, row = job // jobs_of_image, job % jobs_of_image * _CHUNK, rows[job]
        end = min(start + _CHUNK, pixels)
        own_counts = counts[image] if len(counts) else counts[:0].reshape(0)
        for first in range(start, end, _BLOCK):
            width = min(_BLOCK, end - first)
            row[3] += _look(scores[image], ids[image], own_counts, weights, ignore_index, first, width, exps, target, maps)
            focal, right, valid = _ZERO, _ZERO, _ZERO
            for i in range(width):
                right += valid_at[i] if log_p[i] == _ZERO else _ZERO
                valid += valid_at[i]
            for i in range(width):
                log_p[i] -= _log(total[i])
            for i in range(width):
                prob[i] = _exp(log_p[i])
            for i in range(width):
                focal -= count[i] * weight[i] * log_p[i] * _exp(gamma * _log(_miss(log_p[i], prob[i])))
            for i in range(width):
                total[i] = count[i] / total[i]
            row[0] += focal
            row[1] += right
            row[2] += valid
            for c in range(classes):
                predicted = _ZERO
                for i in range(width):
                    predicted += exps[c, i] * total[i]
                row[_ROW + classes + c] += predicted
            for i in range(width):
                row[_ROW + target[i]] += prob[i] * count[i]
                row[_ROW + 2 * classes + target[i]] += count[i]


@njit(cache=True, **_JIT)
def _differentiate(first_job, last_job, scores, ids, counts, weights, per_prob, per_hit, gamma, ignore_index, grad):
    """Write the gradient of each job."""
    classes, pixels = scores.shape[1], scores.shape[2]
    exps, maps, target = np.empty((classes, _BLOCK), F), np.empty((_MAPS + 2, _BLOCK), F), np.empty(_BLOCK, np.uint32)
    total, log_p, weight, count, hit, mean = maps[1], maps[2], maps[3], maps[4], maps[6], maps[7]
    jobs_of_image = -(-pixels // _CHUNK)
    for job in range(first_job, last_job):
        image, start = job // jobs_of_image, job % jobs_of_image * _CHUNK
        end = min(start + _CHUNK, pixels)
        own_counts = counts[image] if len(counts) else counts[:0].reshape(0)
        for first in range(start, end, _BLOCK):
            width = min(_BLOCK, end - first)
            _look(scores[image], ids[image], own_counts, weights, ignore_index, first, width, exps, target, maps)
            mean[:] = _ZERO
            for i in range(width):
                hit[i] = per_hit[target[i]]
            for c in range(classes):
                prob = per_prob[c]
                for i in range(width):
                    mean[i] += exps[c, i] * prob
            for i in range(width):
                log_p[i] -= _log(total[i])
            for i in range(width):
                p = _exp(log_p[i])
                miss = _miss(log_p[i], p)
                slope = (gamma * p * log_p[i] / miss - _ONE) * _exp(gamma * _log(miss)) * weight[i]
                hit[i] = (p * hit[i] + slope) * count[i]
            for i in range(width):
                mean[i] = (hit[i] + mean[i] * count[i] / total[i]) / total[i]
            for i in range(width):
                total[i] = count[i] / total[i]
            for c in range(classes):
                prob = per_prob[c]
                for i in range(width):
                    grad[image, c, first + i] = exps[c, i] * (prob * total[i] - mean[i])
            for i in range(width):
                grad[image, target[i], first + i] += hit[i]
