"""Refinement written as plainly as possible, and mask sources whose answers are known."""

from __future__ import annotations

import numpy as np

from mmstreet.refine.proposals import Detections, Masks


def vote_on_full_maps(labels, masks, purity=0.5, protect=()):
    """Majority vote with one map of the image's size per mask, bool ``[N, H, W]``; ties change nothing."""
    voted = labels.copy()
    for mask in sorted(masks, key=lambda mask: -int(mask.sum())):
        votes = [int((mask & (labels == c)).sum()) for c in range(255)]
        winner = max(range(255), key=lambda c: votes[c])
        if sum(votes) and votes.count(votes[winner]) == 1 and votes[winner] >= purity * sum(votes):
            keep = np.isin(labels, protect) if winner not in protect else np.zeros(labels.shape, bool)
            voted[mask & (labels != 255) & ~keep] = winner
    return voted


def exact_mean_field(image, probs, *, iterations, pos_w, pos_xy, bi_w, bi_xy, bi_rgb):
    """Mean field with both kernels written out between all pairs of pixels, float64 ``[K, H, W]``."""
    classes, height, width = probs.shape
    y, x = (axis.ravel().astype(float) for axis in np.mgrid[:height, :width])
    colors = image.reshape(-1, 3).astype(float)
    features = [(pos_w, np.stack([x, y], 1) / pos_xy), (bi_w, np.concatenate([np.stack([x, y], 1) / bi_xy, colors / bi_rgb], 1))]
    kernels = []
    for weight, f in features:
        squares = (f**2).sum(1)
        kernel = np.exp(-0.5 * np.maximum(squares[:, None] + squares[None] - 2 * f @ f.T, 0))
        norm = 1 / np.sqrt(kernel.sum(1) + 1e-20)
        kernels.append(weight * norm[:, None] * kernel * norm[None])
    unary = -np.log(np.clip(probs.reshape(classes, -1), 1e-5, 1)).astype(float)
    q = _softmax(-unary)
    for _ in range(iterations):
        q = _softmax(-unary + sum(q @ kernel for kernel in kernels))
    return q.reshape(probs.shape)


def _softmax(scores):
    scores = np.exp(scores - scores.max(0))
    return scores / scores.sum(0)


class FixedMasks:
    """Propose the same masks for every image."""

    def __init__(self, full: np.ndarray) -> None:
        self.full = full

    def propose(self, image: np.ndarray) -> Masks:
        return Masks.from_full(self.full)


class Answers:
    """Answer each prompt with what ``answer(box, point)`` draws, bool ``[H, W]``; counts the images that it has encoded."""

    def __init__(self, answer, *, score: float = 1.0) -> None:
        self.answer = answer
        self.score = score
        self.prompts = []

    def predict(self, image: np.ndarray, prompts) -> Masks:
        self.prompts.append(prompts)
        full = [self.answer(box, points[0]) for box, points in zip(prompts.boxes_xyxy, prompts.points_xy)]
        return Masks.from_full(np.array(full, bool), scores=np.full(len(full), self.score, np.float32))


class FixedBoxes:
    """Detect the same boxes in every image."""

    def __init__(self, *found) -> None:
        self.found = found

    def detect(self, image: np.ndarray, classes) -> Detections:
        boxes, names, scores = zip(*self.found)
        ids = [list(classes).index(name) for name in names]
        return Detections(np.array(boxes, np.float32), np.array(ids, np.int64), np.array(scores, np.float32))


def region_at(labels: np.ndarray):
    """Return an ``answer`` that gives the region of the map under the point, 8-connected, grown pixel by pixel."""

    def answer(box, point):
        x, y = (int(v) for v in point)
        same, region, front = labels == labels[y, x], np.zeros(labels.shape, bool), [(y, x)]
        while front:
            i, j = front.pop()
            if 0 <= i < labels.shape[0] and 0 <= j < labels.shape[1] and same[i, j] and not region[i, j]:
                region[i, j] = True
                front += [(i + a, j + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
        return region

    return answer


def random_prediction(rng, classes, size_hw, *, block=4):
    """Blocky class probabilities, float32 ``[C, H, W]``, without ties."""
    height, width = size_hw
    coarse = rng.normal(size=(classes, -(-height // block), -(-width // block)))
    scores = coarse.repeat(block, 1).repeat(block, 2)[:, :height, :width] * 2 + 0.3 * rng.normal(size=(classes, height, width))
    return _softmax(scores).astype(np.float32)
