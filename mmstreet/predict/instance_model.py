"""A trained instance segmentor of mmdet as a function from RGB images to objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mmstreet.engine.errors import LaunchError
from mmstreet.files.boxes import box_of_mask
from mmstreet.files.instances import Instances
from mmstreet.predict.binary import check_scores
from mmstreet.predict.trained_model import TrainedModel


class InstanceModel(TrainedModel):
    """An instance segmentor of mmdet; see :func:`~mmstreet.predict.inference.load_trained`."""

    kind = "instance"

    @torch.inference_mode()
    def predict_instances(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[Instances]:
        """Return the objects on RGB images, uint8 ``[H, W, 3]``, the most certain first.

        Raises:
            LaunchError: If the model gives boxes without masks.
        """
        found: list = [None] * len(images)
        for chosen, batch in self.make_batches(images, scale):
            with self.precision():
                predicted = self.model.predict(batch["inputs"], batch["data_samples"], rescale=True)
            for i, sample in zip(chosen, predicted):
                objects = sample.pred_instances
                if "masks" not in objects:
                    raise LaunchError(
                        f"{type(self.model).__name__} predicts boxes without masks; mmstreet predict needs a model with a mask head"
                    )
                order = objects.scores.argsort(descending=True, stable=True)
                masks = np.asarray(objects.masks[order].cpu(), bool).reshape(len(order), *images[i].shape[:2])
                boxes, ids, scores = (x[order].cpu().numpy() for x in (objects.bboxes.float(), objects.labels, objects.scores.float()))
                check_scores(scores)
                check_scores(boxes)
                for empty in np.flatnonzero((boxes[:, 2:] <= boxes[:, :2]).any(1)):  # SOLO and similar models give masks without boxes
                    boxes[empty] = box_of_mask(masks[empty])
                found[i] = Instances(masks, boxes, ids, scores)
        return found
