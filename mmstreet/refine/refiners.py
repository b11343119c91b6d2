"""The refiners: image and prediction in, label map and a record of the changes out.

Whatever the method, :meth:`Refiner.__call__` keeps three promises: pixels labelled 255 stay 255 and no others become it; the result holds
no class that is not in the map that came in; and thin classes do not lose pixels to the scene around them unless they were asked about.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mmstreet.files.images import as_rgb
from mmstreet.labels import IGNORE_INDEX, LabelTable
from mmstreet.refine.components import components_of_detections, find_components
from mmstreet.refine.fusion import fuse_logits, fuse_priority
from mmstreet.refine.prediction import Prediction, guarded_ids, prompted_ids, rank_classes, read_classes, read_prediction
from mmstreet.refine.prompting import judge_masks, make_prompts
from mmstreet.refine.proposals import BoxDetector, MaskPredictor, MaskProposer
from mmstreet.refine.record import ChangeRecord, RegionReport, record_changes
from mmstreet.refine.vote import keep_protected, vote_by_mask
from mmstreet.registry import MASK_SOURCES, REFINERS

FUSIONS = ("logits", "priority")


@dataclass(kw_only=True, eq=False)
class Refiner(ABC):
    """Base of all refiners; subclasses write :meth:`relabel`.

    Args:
        classes: Class names in the order of their ids, a class table or the name of one.
        protect: Names of the classes that keep their pixels, none if empty; or ``'thin'``: poles, lights, signs, fences, people and
            two-wheelers, as far as they are among the classes; or ``'slender'``: of these only poles and fences.
        freeze: Classes that neither lose nor gain a pixel, named in the same ways.

    Raises:
        KeyError: If there is no such class table.
        ValueError: If a protected or frozen name is not a class.
    """

    classes: str | LabelTable | Sequence[str]
    protect: str | Sequence[str] = "thin"
    freeze: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        self.ranks = rank_classes(self.classes)
        self.classes = read_classes(self.classes)
        self.protected = guarded_ids(self.protect, classes=self.classes)
        self.frozen = guarded_ids(self.freeze, classes=self.classes)

    def __call__(self, image: np.ndarray | torch.Tensor, prediction: np.ndarray | torch.Tensor) -> tuple[np.ndarray, ChangeRecord]:
        """Refine one prediction.

        Args:
            image: RGB uint8 ``[H, W, 3]``, or greyscale ``[H, W]``.
            prediction: Class probabilities, float ``[C, H, W]``, or a label map, integer ``[H, W]`` with 255 for "no class"; at the size of
                the image.

        Returns:
            The new label map, uint8 ``[H, W]``, and the record of what changed.

        Raises:
            ValueError: If image and prediction are not as above or do not fit together.
        """
        image = as_rgb(image)
        before = read_prediction(prediction, size_hw=image.shape[:2], num_classes=len(self.classes))
        after, reports, free, kept = before.labels, [], None, 0
        if len(before.class_ids) > 1:
            after, reports, free = self.relabel(image, before)
            after, kept = keep_protected(before.labels, after, self.protected, frozen=self.frozen, free=free)
            after = np.where(before.labels == IGNORE_INDEX, np.uint8(IGNORE_INDEX), after)
        record = record_changes(before.labels, after, refiner=type(self).__name__, classes=self.classes, protected_px=kept, regions=reports)
        return after, record

    @property
    def fingerprint(self) -> str:
        """Names the weights that the refiner uses; empty without any."""
        parts = [getattr(self, name, None) for name in ("source", "detector", "refiner")]
        return " ".join(found for part in parts if (found := getattr(part, "fingerprint", "")))

    @abstractmethod
    def relabel(self, image: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, list[RegionReport], np.ndarray | None]:
        """Return the new map, uint8 ``[H, W]`` with classes of ``prediction`` only, reports on regions, and where protection does not hold.

        Args:
            image: RGB uint8 ``[H, W, 3]``.
            prediction: Holds at least two classes.
        """


@REFINERS.register_module()
@dataclass(kw_only=True, eq=False)
class VoteRefiner(Refiner):
    """Give every mask of a source the class that most of its pixels have; see :func:`mmstreet.refine.vote.vote_by_mask`.

    Args:
        classes: See :class:`Refiner`.
        source: A :class:`~mmstreet.refine.proposals.MaskProposer`, or its config.
        soft: Count probabilities, where they are known, instead of pixels.
        purity: Share of the votes that the winner needs.
        protect: See :class:`Refiner`.
        freeze: See :class:`Refiner`.

    Raises:
        TypeError: If the source cannot propose masks.

    Example:
        >>> from mmstreet.labels import get_table
        >>> from mmstreet.refine.configured import build_refiner
        >>> cfg = dict(type="mmstreet.VoteRefiner", source=dict(type="mmstreet.SuperpixelMasks", area_px=16))
        >>> refine = build_refiner(cfg, get_table("camvid11").names)
        >>> image = np.zeros((8, 16, 3), np.uint8)
        >>> image[:, 8:] = 255
        >>> labels = np.where(image[..., 0] > 0, 3, 0)
        >>> labels[4, 4] = 3  # a speck
        >>> refined, record = refine(image, labels)
        >>> record.changed_px, int(refined[4, 4])
        (1, 0)
    """

    source: MaskProposer | dict
    soft: bool = True
    purity: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.source = _build(self.source, MaskProposer, "propose masks of a whole image (propose)")

    def relabel(self, image: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, list[RegionReport], np.ndarray | None]:
        """Propose and vote."""
        masks = self.source.propose(image)
        probs = prediction.probs if self.soft else None
        voted, reports = vote_by_mask(prediction.labels, masks, probs=probs, class_ids=prediction.class_ids, purity=self.purity)
        return voted, reports, None


@REFINERS.register_module()
@dataclass(kw_only=True, eq=False)
class PromptRefiner(Refiner):
    """Ask a promptable source about each region of chosen classes, and fuse the answers that pass the gates.

    An accepted answer may also take pixels from its own region, even of a protected class: there the protection ends.

    Args:
        classes: See :class:`Refiner`.
        source: A :class:`~mmstreet.refine.proposals.MaskPredictor`, or its config.
        detector: A :class:`~mmstreet.refine.proposals.BoxDetector`, or its config: regions are then what the map has inside the detected
            boxes. ``None`` takes the connected regions of the map.
        prompt_classes: Names of the classes to ask about; or ``'objects'``: vehicles, people, two-wheelers, poles, lights and signs, as
            far as they are among the classes; or ``'all'``.
        fusion: ``'logits'`` (:func:`~mmstreet.refine.fusion.fuse_logits`) or ``'priority'``
            (:func:`~mmstreet.refine.fusion.fuse_priority`).
        beta: Weight of a mask against the network, for ``'logits'``.
        expand: Share of its width and height by which a region's box grows on each side.
        negatives: Number of points outside the region in each prompt.
        mask_prompt: Whether to add the log odds of the class to each prompt; a bare label map is then refused with a ``ValueError``.
        min_area_px: Smaller regions are not asked about.
        limit: At most so many regions are asked about, the largest.
        min_score: Gate: least score of the source.
        min_iou: Gate: least IoU of answer and region.
        area_ratio: Gate: least and greatest area of the answer as a multiple of the region's.
        protect: See :class:`Refiner`.
        freeze: See :class:`Refiner`.

    Raises:
        TypeError: If the source cannot answer prompts, or the detector cannot detect.
        ValueError: If ``fusion`` is unknown or a prompted name is not a class.
    """

    source: MaskPredictor | dict
    detector: BoxDetector | dict | None = None
    prompt_classes: str | Sequence[str] = "objects"
    fusion: str = "logits"
    beta: float = 2.0
    expand: float = 0.05
    negatives: int = 0
    mask_prompt: bool = False
    min_area_px: int = 64
    limit: int = 256
    min_score: float = 0.7
    min_iou: float = 0.5
    area_ratio: tuple[float, float] = (0.5, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fusion not in FUSIONS:
            raise ValueError(f"unknown fusion '{self.fusion}'; choose one of {', '.join(FUSIONS)}")
        self.source = _build(self.source, MaskPredictor, "answer prompts (predict)")
        self.detector = None if self.detector is None else _build(self.detector, BoxDetector, "detect boxes of named classes (detect)")
        self.rank = dict(enumerate(self.ranks.values()))
        self.prompt_ids = prompted_ids(self.prompt_classes, ranks=self.ranks)
        self.gates = {"min_score": self.min_score, "min_iou": self.min_iou, "area_ratio": tuple(self.area_ratio)}

    def relabel(self, image: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, list[RegionReport], np.ndarray | None]:
        """Find regions, ask, judge, fuse."""
        if self.mask_prompt and prediction.probs is None:
            raise ValueError("mask_prompt needs class probabilities, got a label map; give probabilities or set mask_prompt=False")
        components, reports = self._find(image, prediction)
        if not components:
            return prediction.labels, reports, None
        prompts = make_prompts(
            components,
            prediction.labels,
            expand=self.expand,
            negatives=self.negatives,
            probs=prediction.probs if self.mask_prompt else None,
            class_ids=prediction.class_ids,
        )
        masks = self.source.predict(image, prompts)
        judged = judge_masks(components, masks, **self.gates)
        passed = [i for i, report in enumerate(judged) if report.accepted]
        accepted, answers = [components[i] for i in passed], masks.select(passed)
        if self.fusion == "logits":
            fused = fuse_logits(prediction, accepted, answers, beta=self.beta, expand=self.expand)
        else:
            fused = fuse_priority(prediction, accepted, answers, rank=self.rank, expand=self.expand)
        free = np.zeros(fused.shape, bool)
        for component in accepted:
            free[component.window] |= component.crop
        return fused, reports + judged, free

    def _find(self, image: np.ndarray, prediction: Prediction) -> tuple[list, list[RegionReport]]:
        """Return the regions to ask about, and reports on detections that the map knows nothing of."""
        if self.detector is None:
            ids = [i for i in self.prompt_ids if i in prediction.class_ids]
            return find_components(prediction.labels, ids, min_area_px=self.min_area_px, limit=self.limit), []
        found = self.detector.detect(image, [self.classes[i] for i in self.prompt_ids])
        ids = np.array(self.prompt_ids, np.int64)[found.class_ids]
        regions = components_of_detections(prediction.labels, type(found)(found.boxes_xyxy, ids, found.scores))
        verdict = "refused, too little of this class on the map here"
        small = [max(1, self.min_area_px) > region.area_px for region in regions]
        reports = [
            RegionReport(region.box_xyxy, region.class_id, region.area_px, float(score), verdict)
            for region, score, is_small in zip(regions, found.scores, small)
            if is_small
        ]
        kept = sorted((r for r, is_small in zip(regions, small) if not is_small), key=lambda r: (-r.area_px, r.box_xyxy, r.class_id))
        return kept[: self.limit], reports


def _build(source: object, protocol: type, ability: str) -> object:
    built = MASK_SOURCES.build(source) if isinstance(source, dict) else source
    if not isinstance(built, protocol):
        raise TypeError(f"this refiner needs a source that can {ability}; {type(built).__name__} cannot")
    return built
