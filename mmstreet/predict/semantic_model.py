"""A trained segmentor of mmseg as a function from RGB images to label maps or probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmstreet.models.label_resizing import finishes_as_mmseg, label_resized, without_padding
from mmstreet.predict.binary import check_scores, refuse_unless
from mmstreet.predict.trained_model import TrainedModel
from mmstreet.readback import Readback


class SemanticModel(TrainedModel):
    """A segmentor of mmseg; see :func:`~mmstreet.predict.inference.load_trained`."""

    kind = "semantic"

    @property
    def threshold(self) -> float | None:
        """Probability above which a pixel is of class 1, for a head of one channel; ``None`` for others."""
        head = self.model.decode_head
        head = head[-1] if isinstance(head, nn.ModuleList) else head
        return float(head.threshold) if self.model.out_channels == 1 else None

    def predict_labels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return train ids, uint8 ``[H, W]``, of RGB images, uint8 ``[H, W, 3]``."""
        return self.begin_labels(images)()

    @torch.inference_mode()
    def begin_labels(self, images: Sequence[np.ndarray]) -> Callable[[], list[np.ndarray]]:
        """Run the network for :meth:`predict_labels`; the function that is returned makes label maps of its scores, in any thread.

        A GPU works on both beside the processor: the function waits for it, and more can be asked for before.
        """
        finish: list = [None] * len(images)
        for chosen, batch in self.make_batches(images, 1.0):
            for i, logits in zip(chosen, self._logits(batch["inputs"], batch["data_samples"])):
                size_hw = images[i].shape[:2]
                finish[i] = self._queue_labels(logits, size_hw) if self.queues else partial(self._make_labels, logits, size_hw)
        return lambda: [labels() for labels in finish]

    def _queue_labels(self, logits: Tensor, size_hw: tuple[int, int]) -> Callable[[], np.ndarray]:
        is_finite, labels = Readback(logits.isfinite().all()), Readback(self._label(logits, size_hw))

        def read() -> np.ndarray:
            refuse_unless(bool(is_finite.read()))
            return labels.read().numpy().copy()  # pinned memory is for what is on its way

        return read

    @torch.inference_mode()
    def _make_labels(self, logits: Tensor, size_hw: tuple[int, int]) -> np.ndarray:
        check_scores(logits)
        if self.threshold is None:
            return label_resized(logits, size_hw, align_corners=self.model.align_corners)
        return self._label(logits, size_hw).cpu().numpy()

    @torch.inference_mode()
    def predict_probs(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[np.ndarray]:
        """Return probabilities, float32 ``[C, H, W]``, of RGB images, seen at ``scale`` times the usual size."""
        found: list = [None] * len(images)
        for chosen, batch in self.make_batches(images, scale):
            for i, logits in zip(chosen, self._logits(batch["inputs"], batch["data_samples"])):
                found[i] = self._to_probs(check_scores(logits), images[i].shape[:2])
        return found

    def _logits(self, inputs: Tensor, samples: Sequence) -> Iterator[Tensor]:
        """Give the logits ``[C, h, w]`` of each image without its padding, of a binary head the one channel."""
        if not finishes_as_mmseg(self.model):
            with self.precision():
                predicted = self.model.predict(inputs, samples)
            for sample in predicted:
                scores = sample.seg_logits.data.float()
                yield scores.logit() if len(scores) == 1 else scores  # of one channel mmseg gives the probability
            return
        # As EncoderDecoder.predict, but for what it does at the size of the image: several times the work of a small network.
        with self.precision():
            logits = self.model.inference(inputs, [sample.metainfo for sample in samples])
        for scores, sample in zip(logits.float(), samples):
            yield without_padding(scores, sample.metainfo)

    def _resize(self, logits: Tensor, size_hw: tuple[int, int]) -> Tensor:
        return F.interpolate(logits[None], size_hw, mode="bilinear", align_corners=self.model.align_corners)[0]

    def _label(self, logits: Tensor, size_hw: tuple[int, int]) -> Tensor:
        scores = self._resize(logits, size_hw)
        return (scores.argmax(0) if self.threshold is None else scores[0].sigmoid() > self.threshold).to(torch.uint8)

    def _to_probs(self, logits: Tensor, size_hw: tuple[int, int]) -> np.ndarray:
        scores = self._resize(logits, size_hw).float()
        if len(scores) == 1:
            prob = scores.sigmoid()
            return torch.cat([1 - prob, prob]).cpu().numpy()
        return scores.softmax(0).cpu().numpy()
