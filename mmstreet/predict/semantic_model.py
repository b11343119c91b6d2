"""A trained segmentor of mmseg as a function from RGB images to label maps or probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmstreet.models.label_resizing import finishes_as_mmseg, label_resized, without_padding
from mmstreet.predict.binary import check_scores, refuse_unless
from mmstreet.predict.trained_model import TrainedModel


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
        return self._run(images, 1.0, self._to_labels)

    def predict_probs(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[np.ndarray]:
        """Return probabilities, float32 ``[C, H, W]``, of RGB images, seen at ``scale`` times the usual size."""
        return self._run(images, scale, self._to_probs)

    @torch.inference_mode()
    def _run(self, images: Sequence[np.ndarray], scale: float, finish: Callable[[Tensor, tuple], Tensor | np.ndarray]) -> list[np.ndarray]:
        found: list = [None] * len(images)
        are_finite = []
        for chosen, batch in self.make_batches(images, scale):
            for i, logits in zip(chosen, self._logits(batch["inputs"], batch["data_samples"])):
                if self.queues:
                    are_finite.append(logits.isfinite().all())
                else:
                    check_scores(logits)
                found[i] = finish(logits, images[i].shape[:2])
        if are_finite:  # asked when all work is queued: a GPU that is waited for image by image is idle in between
            refuse_unless(bool(torch.stack(are_finite).all()))
        return [answer.cpu().numpy() if isinstance(answer, Tensor) else answer for answer in found]

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

    def _to_labels(self, logits: Tensor, size_hw: tuple[int, int]) -> Tensor | np.ndarray:
        if self.threshold is not None:
            return (self._resize(logits, size_hw)[0].sigmoid() > self.threshold).to(torch.uint8)
        if self.queues:
            return self._resize(logits, size_hw).argmax(0).to(torch.uint8)
        return label_resized(logits, size_hw, align_corners=self.model.align_corners)

    def _to_probs(self, logits: Tensor, size_hw: tuple[int, int]) -> np.ndarray:
        scores = self._resize(logits, size_hw).float()
        if len(scores) == 1:
            prob = scores.sigmoid()
            return torch.cat([1 - prob, prob]).cpu().numpy()
        return scores.softmax(0).cpu().numpy()
