"""A network of transformers behind one interface: normalised images to a map of scores for each class of its own."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor

from mmstreet.models.transformers_hub import input_size, is_universal, licence_of, load_task, load_weights, make_network
from mmstreet.registry import MODELS


@MODELS.register_module()
class TransformersNetwork(BaseModule):
    """The network behind :class:`TransformersSegmentor`: normalised images to one map of scores per class of its own.

    Args:
        model: Folder or name of the published weights.
        config: Its ``PreTrainedConfig``, perhaps with other classes.
        pretrained: Whether :meth:`init_weights` reads the weights.
    """

    def __init__(self, *, model: str, config: object, pretrained: bool = True) -> None:
        super().__init__()
        self.name, self.pretrained = model, pretrained
        self.universal = is_universal(config)
        self.size_hw = input_size(config)
        self.square = config.model_type == "dpt"
        self.network = make_network(config)
        if config.model_type == "oneformer":
            self.register_buffer("task", load_task(model, config.task_seq_len))

    def init_weights(self) -> list[str]:
        """Read the published weights and return the names of what they lack, a new classifier above all: that stays as it was drawn."""
        new = load_weights(self.network, self.name) if self.pretrained else []
        if self.pretrained:
            print_log(f"'{self.name}': licence: {licence_of(self.name) or 'see its page'}", "current", logging.INFO)
        if new:
            print_log(f"'{self.name}': {len(new)} tensors are drawn anew, first '{new[0]}'", "current", logging.INFO)
        self._is_init = True
        return new

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Return scores ``[B, C, h, w]``: logits of a semantic model, sums over queries in ``[0, Q]`` of a universal one."""
        out = self._run(images)
        return (_sum_queries(out) if self.universal else out.logits,)

    def match_queries(self, images: Tensor, labels: Tensor, own_ids: Sequence[int], ignore_index: int) -> tuple[Tensor, Tensor]:
        """Return the model's own loss on queries and its scores.

        Args:
            images: Normalised, float ``[B, 3, H, W]``.
            labels: Class ids of the table, int64 ``[B, H, W]``.
            own_ids: The network's class of each class of the table.
            ignore_index: Label of pixels that belong to no mask. An image of such pixels alone gives no loss.
        """
        present = [[i for i in label.unique().tolist() if i != ignore_index] for label in labels]
        seen = [b for b, ids in enumerate(present) if ids]
        if not seen:
            out = self._run(images)
            scores = _sum_queries(out)
            return 0.0 * (scores.sum() + out.class_queries_logits.sum()), scores
        masks = [torch.stack([labels[b] == i for i in present[b]]).float() for b in seen]
        classes = [torch.tensor([own_ids[i] for i in present[b]], device=labels.device) for b in seen]
        if len(seen) == len(labels):
            out = self._run(images, mask_labels=masks, class_labels=classes)
            return out.loss.sum(), _sum_queries(out)
        loss = self._run(images[seen], mask_labels=masks, class_labels=classes).loss.sum()
        with torch.no_grad():
            return loss, _sum_queries(self._run(images))

    def _run(self, images: Tensor, **more: list) -> object:
        if self.size_hw is not None and tuple(images.shape[2:]) != self.size_hw:
            height, width = self.size_hw
            raise ValueError(
                f"'{self.name}' takes inputs of {width}x{height} pixels, not {images.shape[3]}x{images.shape[2]}: train on crops of that "
                "size, and test with a Resize to it or with test_cfg.mode='slide'; an export needs --size"
            )
        if self.square and int(images.shape[2]) != int(images.shape[3]):
            raise ValueError(
                f"'{self.name}' takes square inputs, not {images.shape[3]}x{images.shape[2]}: train on square crops, test with a Resize "
                "to a square or with test_cfg.mode='slide'; an export needs --size"
            )
        if hasattr(self, "task"):
            more["task_inputs"] = self.task.expand(images.shape[0], -1)
        return self.network(pixel_values=images, return_dict=True, **more)


def _sum_queries(out: object) -> Tensor:
    """Weigh the queries' masks with their classes, as transformers' ``post_process_semantic_segmentation`` does."""
    classes = out.class_queries_logits.softmax(-1)[..., :-1]
    return torch.einsum("bqc,bqhw->bchw", classes, out.masks_queries_logits.sigmoid())
