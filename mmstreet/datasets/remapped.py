"""A data set of MMSegmentation with ``mmstreet.RemapLabels`` in its pipeline, under the names of the remapped classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.registry import DATASETS as ROOT_DATASETS

from mmstreet.registry import DATASETS


@DATASETS.register_module()
class RemappedSemSeg:
    """A data set of MMSegmentation whose labels ``mmstreet.RemapLabels`` brings to other classes.

    MMSegmentation's data sets name their own classes, and ``metainfo=dict(classes=…)`` on them makes their loader rename ids by itself.
    This wrapper takes classes and palette from the ``RemapLabels`` step instead, and leaves everything else as it is.

    Args:
        dataset: The data set, with ``mmstreet.RemapLabels`` in its pipeline and without ``classes`` in its ``metainfo``.
        lazy_init: Read the file list at first use.

    Raises:
        ValueError: If there is no such step, if the data set has other classes than the step's ``source``, or a ``label_map``.

    Example::

        dict(
            type='mmstreet.RemappedSemSeg',
            dataset=dict(
                type='CityscapesDataset',
                data_root='data/cityscapes',
                data_prefix=dict(img_path='leftImg8bit/train', seg_map_path='gtFine/train'),
                pipeline=[
                    dict(type='LoadImageFromFile'),
                    dict(type='LoadAnnotations'),
                    dict(type='mmstreet.RemapLabels', source='cityscapes19_train_ids', target='street6'),
                    ...,
                ],
            ),
        )
    """

    def __init__(self, *, dataset: Mapping | Any, lazy_init: bool = False):
        self.dataset = ROOT_DATASETS.build({**dataset, "lazy_init": True}) if isinstance(dataset, Mapping) else dataset
        steps = [step for step in self.dataset.pipeline.transforms if hasattr(step, "source") and hasattr(step, "label_table")]
        if not steps:
            raise ValueError("RemappedSemSeg: the pipeline of its data set has no mmstreet.RemapLabels; add it after the labels are loaded")
        classes, source = tuple(self.dataset.metainfo.get("classes") or ()), steps[0].source
        if getattr(self.dataset, "label_map", None) is not None:
            raise ValueError("RemappedSemSeg: its data set renames ids by itself (label_map); take classes out of its metainfo")
        if classes and classes != source.names:
            raise ValueError(
                f"RemappedSemSeg: RemapLabels expects the classes of '{source.name}' ({', '.join(source.names)}), but its data set has "
                f"{', '.join(classes)}; name the table of the data set as source="
            )
        self._metainfo = {**self.dataset.metainfo, **steps[-1].label_table.metainfo}
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """Classes and palette after the remapping, and what else the data set says."""
        return dict(self._metainfo)

    def full_init(self) -> None:
        """Read the file list."""
        self.dataset.full_init()

    def get_data_info(self, idx: int) -> dict:
        """Return one entry of the file list."""
        return self.dataset.get_data_info(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        return self.dataset[idx]
