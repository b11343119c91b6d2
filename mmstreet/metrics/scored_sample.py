"""What a metric of scores reads of one image: its logits and its labels, checked."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, int64

from mmstreet.files.label_ids import check_label_ids
from mmstreet.readback import check_later


def read_scored_sample(sample: Mapping, image: str, *, meta: Mapping | None, ignore_index: int, purpose: str) -> tuple[Tensor, Tensor]:
    """Return the logits ``[C, H, W]`` of a sample and its labels, int64 ``[H, W]`` on the same device.

    Within :meth:`mmstreet.readback.Watch.step` no accelerator is waited for: a label that no class knows raises in the next step.

    Args:
        sample: One image with ``seg_logits`` and ``gt_sem_seg``, each with its array under ``data``.
        image: Its name, for messages.
        meta: The data set's metadata; a class ``background`` after those that have a channel may be labelled.
        ignore_index: Label of pixels that are not looked at.
        purpose: What the scores are for, as the beginning of a sentence: ``'calibration needs'``.

    Raises:
        ValueError: If there are no logits of two or more classes, or labels that the classes do not know.
    """
    logits = sample["seg_logits"]["data"] if "seg_logits" in sample else None
    if logits is None or len(logits) < 2:
        raise ValueError(f"{image} has no scores of two or more classes; {purpose} a semantic model with one channel per class")
    labels = sample["gt_sem_seg"]["data"].reshape(logits.shape[1:]).to(logits.device, int64)
    background = tuple((meta or {}).get("classes") or ())[len(logits) :] == ("background",)
    where = sample.get("seg_map_path") or image
    rules = dict(num_classes=len(logits) + background, ignore_index=ignore_index)
    stray = ((labels < 0) | (labels >= rules["num_classes"])) & (labels != ignore_index)
    check_later(stray.any(), lambda: check_label_ids(labels, where=where, **rules))
    return logits, labels
