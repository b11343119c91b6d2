"""What the road-safety score depends on besides the label map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mmstreet.safety.components import COMPONENTS
from mmstreet.safety.prior import LanePrior

DEFAULT_WEIGHTS = {"road_visibility": 0.15, "people": 0.3, "vehicles": 0.2, "obstacles": 0.2, "lane_clarity": 0.15}


@dataclass(frozen=True, kw_only=True)
class SafetySettings:
    """Settings of the score; the defaults are a judgement, not a calibration against accidents.

    Attributes:
        prior: Where the lane lies; a :class:`LanePrior`, or a dict of its settings.
        weights: Weight of each part in the mean; they need not sum to 1. A part that is not named, or weighs 0, is left out altogether.
        worst_share: Share of the score that the worst part alone decides; the weighted mean decides the rest. At 0 a person in front of
            the bumper could not cost more than the weight of people.
        thresholds: Lowest scores of LOW, MODERATE and HIGH risk, falling.
        people_half: Burden of people and two-wheelers at which their part is one half, in squared ground heights. The default is one
            person in the lane at nearness 0.25: 16 m ahead for a camera that sees the road from 4 m on.
        vehicles_half: The same for vehicles. The default is a car ahead in the lane at nearness 0.35, about 11 m.
        min_labelled: Least share of the carriageway ahead that must be labelled; below it the scene is unknown.
        min_recognised: Least share of the picture that must be of a class other than background; below it the scene is unknown.
        ignore_index: Id of pixels that are not labelled.

    Raises:
        ValueError: If a setting is out of its range.
    """

    prior: LanePrior = field(default_factory=LanePrior)
    weights: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_WEIGHTS))
    worst_share: float = 0.5
    thresholds: tuple[float, float, float] = (75.0, 55.0, 35.0)
    people_half: float = 0.02
    vehicles_half: float = 0.15
    min_labelled: float = 0.5
    min_recognised: float = 0.01
    ignore_index: int = 255

    def __post_init__(self) -> None:
        if isinstance(self.prior, Mapping):
            object.__setattr__(self, "prior", LanePrior(**self.prior))
        stray = sorted(set(self.weights) - set(COMPONENTS))
        if stray:
            raise ValueError(f"there is no part '{stray[0]}' to weigh; the parts are {', '.join(COMPONENTS)}")
        if min(self.weights.values(), default=0) < 0 or not any(self.weights.values()):
            raise ValueError(f"weights must be 0 or more and one of them positive, got {dict(self.weights)}")
        if not 0 <= self.worst_share <= 1:
            raise ValueError(f"worst_share must lie in [0, 1], got {self.worst_share}")
        if len(self.thresholds) != 3 or list(self.thresholds) != sorted(self.thresholds, reverse=True):
            raise ValueError(f"thresholds must be three falling scores, for LOW, MODERATE and HIGH; got {tuple(self.thresholds)}")
        if min(self.people_half, self.vehicles_half) <= 0:
            raise ValueError(f"people_half={self.people_half} and vehicles_half={self.vehicles_half} must be positive")
