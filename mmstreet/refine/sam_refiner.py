"""SAM behind a coarse network, in one setting: the weights, and one of the two ways to use them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmstreet.refine.cache import CachedMasks
from mmstreet.refine.prediction import Prediction
from mmstreet.refine.record import RegionReport
from mmstreet.refine.refiners import PromptRefiner, Refiner, VoteRefiner
from mmstreet.registry import MASK_SOURCES, REFINERS

STRATEGIES = {"prompts": PromptRefiner, "vote": VoteRefiner}


@REFINERS.register_module()
class SAMRefiner(Refiner):
    """Let SAM, SAM 2 or SAM-HQ redraw what a network has found.

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

    def __init__(
        self,
        *,
        classes: str | Sequence[str],
        weights: str | Path,
        strategy: str = "prompts",
        source: Mapping | None = None,
        settings: Mapping | None = None,
        cache: str | Path | None = None,
        protect: str | Sequence[str] = "thin",
        freeze: str | Sequence[str] = (),
    ) -> None:
        super().__init__(classes=classes, protect=protect, freeze=freeze)
        if strategy not in STRATEGIES:
            raise ValueError(f"unknown strategy '{strategy}'; choose one of {', '.join(STRATEGIES)}")
        made_by = dict(source or {}, type="mmstreet.SAMMasks", weights=str(weights))
        masks = CachedMasks(source=made_by, folder=cache) if cache else MASK_SOURCES.build(made_by)
        self.strategy = STRATEGIES[strategy](classes=classes, source=masks, protect=protect, freeze=freeze, **(settings or {}))

    def relabel(self, image: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, list[RegionReport], np.ndarray | None]:
        """Hand over to the strategy."""
        return self.strategy.relabel(image, prediction)
