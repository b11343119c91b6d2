"""``PackSegInputs``: mmseg's last step, with samples whose labels a data loader can pin."""

from __future__ import annotations

from mmengine.structures import BaseDataElement
from mmseg.datasets.transforms import PackSegInputs as _PackSegInputs
from mmseg.structures import SegDataSample
from torch import Tensor

from mmstreet.registry import TRANSFORMS


class PinnableSample(SegDataSample):
    """A sample whose tensors go to pinned memory with the images, so that their way to a GPU is not waited for."""

    def pin_memory(self) -> PinnableSample:
        """Move all tensors to pinned memory, and return this sample."""
        for name, value in self.items():
            if isinstance(value, Tensor):
                setattr(self, name, value.pin_memory())
            elif isinstance(value, BaseDataElement):
                for key, part in value.items():
                    if isinstance(part, Tensor):
                        setattr(value, key, part.pin_memory())
        return self


@TRANSFORMS.register_module()
class PackSegInputs(_PackSegInputs):
    """As mmseg's class of this name, with its arguments; the samples are :class:`PinnableSample`.

    A data loader with ``pin_memory`` pins the labels too then, which are int64 and so larger than the image.
    """

    def transform(self, results: dict) -> dict:
        """Return ``inputs``, ``[3, H, W]``, and ``data_samples``, a sample with ``gt_sem_seg``, int64 ``[1, H, W]``."""
        packed = super().transform(results)
        sample = packed["data_samples"]
        packed["data_samples"] = PinnableSample(metainfo=sample.metainfo, **dict(sample.items()))
        return packed
