"""SAM behind a coarse network, in one setting: the weights, and one of the two ways to use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mmstreet.refine.cache import CachedMasks
from mmstreet.refine.prediction import Prediction
from mmstreet.refine.record import RegionReport
from mmstreet.refine.refiners import PromptRefiner, Refiner, VoteRefiner
from mmstreet.registry import MASK_SOURCES, REFINERS

STRATEGIES = {"prompts": PromptRefiner, "vote": VoteRefiner}


@REFINERS.register_module()
@dataclass(kw_only=True, eq=False)
class SAMRefiner(Refiner):
    """Let SAM, SAM 2 or SAM-HQ improve the contours of what a network predicts.

    ``'prompts'`` asks about the regions of vehicles, people, two-wheelers, poles, lights and signs, one by one, and takes over the answers
    that agree with the map (:class:`~mmstreet.refine.refiners.PromptRefiner`). ``'vote'`` lets SAM find masks by itself and gives each
    the class of its majority (:class:`~mmstreet.refine.refiners.VoteRefiner`).

    Args:
        classes: See :class:`~mmstreet.refine.refiners.Refiner`.
        weights: See :class:`~mmstreet.refine.sam.SAMMasks`.
        strategy: ``'prompts'`` or ``'vote'``.
        source: Further settings of :class:`~mmstreet.refine.sam.SAMMasks`, such as ``family`` or ``device``.
        settings: Further settings of the strategy's refiner, such as ``fusion``, ``min_score`` or ``purity``.
        cache: Folder in which SAM's answers are kept (:class:`~mmstreet.refine.cache.CachedMasks`); ``None`` keeps none.
        protect: See :class:`~mmstreet.refine.refiners.Refiner`.
        freeze: See :class:`~mmstreet.refine.refiners.Refiner`.

    Raises:
        ImportError: If transformers is not installed.
        OSError: If the weights cannot be had.
        TypeError: If a setting does not exist.
        ValueError: If ``strategy`` is unknown, or the weights are no SAM.
    """

    weights: str | Path
    strategy: str = "prompts"
    source: Mapping | None = None
    settings: Mapping | None = None
    cache: str | Path | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strategy not in STRATEGIES:
            raise ValueError(f"unknown strategy '{self.strategy}'; choose one of {', '.join(STRATEGIES)}")
        made_by = dict(self.source or {}, type="mmstreet.SAMMasks", weights=str(self.weights))
        masks = CachedMasks(source=made_by, folder=self.cache) if self.cache else MASK_SOURCES.build(made_by)
        shared = dict(classes=self.classes, protect=self.protect, freeze=self.freeze)
        self.refiner = STRATEGIES[self.strategy](source=masks, **shared, **(self.settings or {}))

    def relabel(self, image: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, list[RegionReport], np.ndarray | None]:
        """Hand over to the strategy."""
        return self.refiner.relabel(image, prediction)
