"""Fusing accepted masks with the network's map: by adding to log probabilities, or by writing them into it in order of priority.

Both ways leave 255 as it is, give back the map where every mask equals its region, and do not depend on the order of the regions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.files.argmax import first_argmax
from mmstreet.labels import IGNORE_INDEX
from mmstreet.refine.components import Component, cut, grow_window, nearest_other
from mmstreet.refine.prediction import Prediction
from mmstreet.refine.proposals import Masks

_MIN_PROB = 1e-5
_LABEL_PROB = 0.7
"""How far a bare label map is trusted: each pixel's class has 0.7, every other class that the map holds 0.3, so that a confident mask
(``beta=2``) can decide. With the remainder shared out among 18 classes no mask could."""
_NEAREST_BONUS = 1e-3
"""Makes the class next to a region the runner-up among classes that a bare label map cannot rank."""


def fuse_logits(
    prediction: Prediction, components: Sequence[Component], masks: Masks, *, beta: float = 2.0, expand: float = 0.05
) -> np.ndarray:
    """Raise a region's class where its mask is set, lower it in the region where its mask is not, and take the best class.

    To the log probability of the region's class ``beta * score * (2 sigmoid(m) - 1)`` is added, ``m`` being the mask's logit, within the
    region's box grown by ``expand``. Where the region is not, a negative addend is left out: there it could only disturb other regions of
    the same class. Classes are lowered and raised on their own, so a pixel that is taken from a region falls to its runner-up. Where
    two classes end up equal, the pixel keeps its class.

    Args:
        prediction: The map and its probabilities.
        components: Accepted regions.
        masks: One mask per region. Without logits a mask counts as certain.
        beta: Weight of a mask against the network, in nats.
        expand: Share of its width and height by which a region's box grows on each side.

    Returns:
        The new map, uint8 ``[H, W]``.
    """
    labels, class_ids = prediction.labels, prediction.class_ids
    position = {int(class_id): k for k, class_id in enumerate(class_ids)}
    addend = np.zeros((len(class_ids), *labels.shape), np.float32)
    contested = np.zeros(labels.shape, bool)  # a pixel whose own class rises, and no other, keeps it
    for i in _in_reading_order(components):
        component = components[i]
        window = grow_window(component.box_xyxy, labels.shape, by=expand)
        own = cut(component.crop, component.box_xyxy, window)
        sign = _confidence(masks, i, window)
        if prediction.probs is None:
            nearest = nearest_other(labels, component, window)
            if nearest is None:
                continue  # nothing around it that a pixel could fall to
            _add_bonus(addend, nearest, own, window, position)
        gain = np.where(own | (sign > 0), sign, 0)
        addend[position[component.class_id]][window] += np.float32(beta * masks.scores[i]) * gain
        contested[window] |= np.where(own, sign < 0, (sign > 0) & (labels[window] != component.class_id))
    at = np.flatnonzero(contested & (labels != IGNORE_INDEX))
    fused = labels.copy()
    if len(at):
        scores = _log_probs(prediction, at) + addend.reshape(len(class_ids), -1).take(at, axis=1)
        tied = (scores == scores.max(0)).sum(0) > 1
        fused.put(at, np.where(tied, labels.take(at), class_ids[first_argmax(scores)]))
    return fused


def fuse_priority(
    prediction: Prediction, components: Sequence[Component], masks: Masks, *, rank: Mapping[int, int], expand: float = 0.05
) -> np.ndarray:
    """Clear the regions to their runner-up class, then assign their masks: low rank first, then large before small, then by score.

    Args:
        prediction: The map and its probabilities. Without these the runner-up is the class of the nearest pixel of another class.
        components: Accepted regions.
        masks: One mask per region.
        rank: Rank of each class id; higher is assigned later, over lower ones.
        expand: Share by which a region's box grows to look for the nearest other class.

    Returns:
        The new map, uint8 ``[H, W]``.
    """
    labels = prediction.labels
    fused = labels.copy()
    for component in components:
        y, x = np.nonzero(component.crop)
        y, x = y + component.box_xyxy[1], x + component.box_xyxy[0]
        if prediction.probs is None:
            window = grow_window(component.box_xyxy, labels.shape, by=expand)
            nearest = nearest_other(labels, component, window)
            if nearest is not None:
                fused[y, x] = nearest[y - window[0].start, x - window[1].start]
        elif len(prediction.class_ids) > 1:
            probs = prediction.probs[:, y, x]
            probs[prediction.class_ids == component.class_id] = -1
            fused[y, x] = prediction.class_ids[first_argmax(probs)]
    areas, windows, boxes = masks.areas, masks.windows, masks.boxes_xyxy.tolist()
    key = {i: (rank[components[i].class_id], -areas[i], masks.scores[i], boxes[i]) for i in range(len(components))}
    for i in sorted(key, key=key.get):
        fused[windows[i]][masks.crops[i] & (labels[windows[i]] != IGNORE_INDEX)] = components[i].class_id
    return fused


def _in_reading_order(components: Sequence[Component]) -> list[int]:
    """One order whatever the order of the list, because sums of floats depend on it."""
    return sorted(range(len(components)), key=lambda i: (components[i].box_xyxy, components[i].class_id))


def _confidence(masks: Masks, i: int, window: tuple[slice, slice]) -> np.ndarray:
    """``2 sigmoid(m) - 1`` within a window, float32; -1 beyond the mask's box."""
    if masks.logits is None:
        sign = masks.crops[i].astype(np.float32) * 2 - 1
    else:
        sign = np.tanh(np.asarray(masks.logits[i], np.float32) / 2)
    return cut(sign, masks.boxes_xyxy[i], window, fill=-1)


def _add_bonus(addend: np.ndarray, nearest: np.ndarray, own: np.ndarray, window: tuple[slice, slice], position: Mapping[int, int]) -> None:
    for class_id in np.unique(nearest[own]):
        addend[position[int(class_id)]][window] += np.where(own & (nearest == class_id), np.float32(_NEAREST_BONUS), 0)


def _log_probs(prediction: Prediction, at: np.ndarray) -> np.ndarray:
    """Log probabilities of the ``n`` pixels at positions of the flat map, float32 ``[K, n]``."""
    if prediction.probs is not None:
        probs = prediction.probs.reshape(len(prediction.probs), -1).take(at, axis=1)
        return np.log(np.maximum(probs, _MIN_PROB, out=probs), out=probs)
    is_label = prediction.labels.take(at) == prediction.class_ids[:, None]
    return np.where(is_label, np.log(_LABEL_PROB), np.log(1 - _LABEL_PROB)).astype(np.float32)
