"""Label maps for validation and test on a CPU, without mmseg's work at the size of the image, which outweighs a small network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmengine.structures import PixelData
from torch import Tensor, nn

from mmstreet.deps import installed
from mmstreet.engine.hooks.checkpoint_guard import check_finite
from mmstreet.files.argmax import first_argmax
from mmstreet.registry import HOOKS

_KNOWN = ("mmengine.", "mmseg.", "mmdet.", "mmcv.", "mmstreet.")


@HOOKS.register_module()
class LabelMapsHook(Hook):
    """Let a segmentor of mmseg make the label maps of validation and test in less time on a CPU; they stay the same, pixel for pixel.

    mmseg resizes the scores of every class to the image and takes ``argmax`` over the first axis. Here the scores are resized along the
    borders of regions only, and samples have no ``seg_logits``, which no metric of mmseg reads. They have them where a metric or hook of
    the run has ``needs_scores = True``, or is neither of OpenMMLab nor of this package and does not say ``needs_scores = False``.
    A segmentor that finishes its predictions by a method of its own, a head of one channel, and a GPU work as before.

    ``mmstreet train`` and ``mmstreet test`` add this hook to every config.

    Raises:
        NonFiniteError: At run time, if scores are infinite or not a number; the message names the image.
    """

    priority = "LOW"

    def before_val(self, runner: Runner) -> None:
        """Take the place of the method that finishes predictions."""
        self._replace(runner, runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Take the place of the method that finishes predictions."""
        self._replace(runner, runner.test_loop)

    def _replace(self, runner: Runner, loop: object) -> None:
        model = _unwrap(runner.model)
        if not installed("mmseg"):
            return
        from mmstreet.models.label_resizing import finishes_as_mmseg

        if finishes_as_mmseg(model) and model.out_channels > 1 and not next(model.parameters()).is_cuda:
            readers = [*runner.hooks, *getattr(getattr(loop, "evaluator", None), "metrics", ())]
            model.postprocess_result = partial(finish_samples, model, keep_scores=any(map(_needs_scores, readers)))

    def after_val(self, runner: Runner) -> None:
        """Give the method back."""
        vars(_unwrap(runner.model)).pop("postprocess_result", None)

    after_test = after_val


def finish_samples(model: nn.Module, logits: Tensor, samples: Sequence | None = None, *, keep_scores: bool) -> Sequence:
    """Set ``pred_sem_seg`` of each sample, and ``seg_logits`` if they are kept, as ``BaseSegmentor.postprocess_result`` does.

    Args:
        model: A segmentor with one channel per class.
        logits: At the size of the input, ``[B, C, H, W]``, on the CPU.
        samples: mmseg's data samples; None for logits without images.
        keep_scores: Whether the scores are resized too.
    """
    from mmstreet.models.label_resizing import label_resized, without_padding

    if samples is None:
        return type(model).postprocess_result(model, logits, None)
    for scores, sample in zip(logits, samples, strict=True):
        meta = sample.metainfo
        scores = without_padding(scores, meta)
        if meta.get("flip"):
            scores = scores.flip(dims=(2 if meta.get("flip_direction") == "horizontal" else 1,))
        size_hw, align_corners = tuple(meta["ori_shape"]), model.align_corners
        if keep_scores:
            scores = F.interpolate(scores[None], size_hw, mode="bilinear", align_corners=align_corners)[0]
            sample.seg_logits = PixelData(data=scores)
            labels = first_argmax(scores.detach().float().numpy())
        else:
            check_finite(scores, "logits", sample)
            labels = label_resized(scores, size_hw, align_corners=align_corners)
        sample.pred_sem_seg = PixelData(data=torch.from_numpy(labels)[None].long())
    return samples


def _needs_scores(part: object) -> bool:
    return getattr(part, "needs_scores", not type(part).__module__.startswith(_KNOWN))


def _unwrap(model: nn.Module) -> nn.Module:
    return model.module if is_model_wrapper(model) else model
