"""From a label map to the road-safety score: a pure function, and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmstreet.files.instances import Instances
from mmstreet.files.label_ids import check_label_ids
from mmstreet.safety.components import COMPONENTS, measure_components
from mmstreet.safety.prior import LaneGrid, lay_grid
from mmstreet.safety.roles import BACKGROUND, GROUND, IGNORED, PERSON, ROAD, VEHICLE, roles_of
from mmstreet.safety.settings import SafetySettings

LEVELS = ("LOW", "MODERATE", "HIGH", "CRITICAL")
UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class SafetyScore:
    """The score of one scene.

    Attributes:
        score: 0 (worst) to 100; ``None`` when the scene is unknown.
        level: Risk: one of :data:`LEVELS`, or :data:`UNKNOWN`.
        components: The five parts, each in ``[0, 1]`` (1 is safest) or ``None``.
        reasons: Why a part is ``None``, by part.
        costs: Points that each known part costs; they sum to ``100 - score``.
        measures: Quantities behind the parts; see :func:`~mmstreet.safety.components.measure_components`.
        labelled: Share of the carriageway ahead that is labelled.
    """

    score: float | None
    level: str
    components: Mapping[str, float | None]
    reasons: Mapping[str, str]
    costs: Mapping[str, float]
    measures: Mapping[str, float]
    labelled: float

    @property
    def worst(self) -> str | None:
        """The part that cost most; ``None`` when nothing cost anything."""
        return max(self.costs, key=self.costs.__getitem__) if any(self.costs.values()) else None

    def explain(self) -> str:
        """Say in a few sentences what the score is, what cost most and what could not be known."""
        unknown = "; ".join(f"{part} is not known: {why}" for part, why in self.reasons.items())
        if self.score is None:
            return f"Unknown: {next(iter(self.reasons.values()))}."
        first = f"{self.score:.0f} of 100, {self.level} risk."
        if self.worst is not None:
            costs = sorted(self.costs.items(), key=lambda item: -item[1])
            most = f"{self.worst} cost most, {costs[0][1]:.0f} points: {self._fact(self.worst)}."
            others = ", ".join(f"{part} {points:.0f}" for part, points in costs[1:] if points >= 0.5)
            first += f" {most}" + (f" Others: {others}." if others else "")
        return first + (f" Left out: {unknown}." if unknown else "")

    def to_dict(self) -> dict:
        """Everything as JSON-ready data, with the explanation."""
        return {
            "score": self.score,
            "level": self.level,
            "components": dict(self.components),
            "reasons": dict(self.reasons),
            "costs": dict(self.costs),
            "measures": dict(self.measures),
            "labelled": self.labelled,
            "explanation": self.explain(),
        }

    def _fact(self, part: str) -> str:
        value, of = self.components[part], self.measures
        if part == "road_visibility":
            return f"road is seen on {100 * value:.0f} % of the carriageway ahead"
        if part == "lane_clarity":
            return f"{100 * value:.0f} % of the lane's two borders can be seen"
        if part == "obstacles":
            return f"{100 * of['blocking']:.0f} % of the lane ahead is cut off by what stands in it"
        who = "people or two-wheelers" if part == "people" else "vehicles"
        if part == "vehicles" and not of["vehicles_in_lane"] and of["people_in_lane"]:
            return "people in the lane may hide a vehicle"
        nearest = of[f"{part}_nearness"]
        return f"{who} in the lane ahead, the nearest at nearness {nearest:.2f} (1 is the bumper)" if nearest else f"{who} beside the lane"


def level_of(score: float | None, thresholds: Sequence[float]) -> str:
    """Risk level of a score: LOW from the first threshold up, CRITICAL below the last, UNKNOWN for ``None``.

    Example:
        >>> level_of(75, (75, 50, 25)), level_of(24.9, (75, 50, 25))
        ('LOW', 'CRITICAL')
    """
    return UNKNOWN if score is None else LEVELS[sum(score < threshold for threshold in thresholds)]


def combine_components(
    components: Mapping[str, float | None], weights: Mapping[str, float], worst_share: float
) -> tuple[float | None, dict[str, float]]:
    """Mix the weighted mean of the known parts with the worst of them.

    ``score = 100 * ((1 - worst_share) * sum(w * part) / sum(w) + worst_share * min(part))`` over the parts that are known and weigh.

    Returns:
        The score in ``[0, 100]``, and the points that each part costs, summing to ``100 - score``; ``None`` and ``{}`` when none is known.
    """
    known = {part: value for part, value in components.items() if value is not None and weights.get(part, 0) > 0}
    if not known:
        return None, {}
    total, worst = sum(weights[part] for part in known), min(known, key=known.__getitem__)
    costs = {part: 100 * (1 - worst_share) * weights[part] / total * (1 - value) for part, value in known.items()}
    costs[worst] += 100 * worst_share * (1 - known[worst])
    return min(100.0, max(0.0, 100 - sum(costs.values()))), costs


def score_scene(
    labels: np.ndarray,
    classes: Sequence[str],
    *,
    settings: SafetySettings,
    instances: Instances | None = None,
    roles: Mapping[str, str] | None = None,
) -> SafetyScore:
    """Score one scene.

    The map is sampled on a grid of 360 rows, so the time hardly depends on its resolution.

    Args:
        labels: Class ids, integers ``[H, W]``, each in ``[0, C)`` or ``settings.ignore_index``.
        classes: Class names ``[C]``.
        settings: Everything else that matters.
        instances: Objects, with class ids of ``classes``, that are added to the map: a pixel of a person's mask counts as a person
            whatever the map says there, one of a vehicle's mask as a vehicle unless a person is there.
        roles: Roles of class names that are not known; see :func:`~mmstreet.safety.roles.roles_of`.

    Returns:
        The score. It is unknown for classes of which none can stand for the road, for a map without pixels, without enough labelled
        pixels ahead, or with nothing but background.

    Raises:
        ValueError: If the map is no integer ``[H, W]``, holds an id that is no class, a class has no role, or the masks do not fit the map.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(f"expected class ids, integers [H, W], got {labels.dtype} {list(labels.shape)}")
    class_roles = roles_of(classes, roles)
    if not labels.size:
        return _unknown("the map has no pixels", 0.0)
    if (blind := find_blindness(class_roles)) is not None:
        return _unknown(blind, 0.0)
    grid = lay_grid(settings.prior, *labels.shape)
    scene = _look_up_roles(grid.sample(labels), class_roles, settings.ignore_index)
    if instances is not None:
        scene = _add_instances(scene, instances, class_roles, grid, labels.shape)

    labelled = float((grid.carriageway & (scene[grid.first :] != IGNORED)).sum() / grid.carriageway.sum())
    if labelled < settings.min_labelled:
        needed = f"{100 * settings.min_labelled:.0f} % are needed"
        return _unknown(f"{100 * labelled:.0f} % of the carriageway ahead is labelled, {needed}", labelled)
    if (scene < BACKGROUND).mean() < settings.min_recognised:
        return _unknown("hardly anything but background was recognised", labelled)

    parts, measures = measure_components(
        scene, grid, settings.prior, people_half=settings.people_half, vehicles_half=settings.vehicles_half
    )
    reasons = {part: "no pixel that it looks at is labelled" for part, value in parts.items() if value is None}
    reasons |= _find_blind_spots(class_roles)
    parts = {part: None if part in reasons else value for part, value in parts.items()}
    score, costs = combine_components(parts, settings.weights, settings.worst_share)
    return SafetyScore(score, level_of(score, settings.thresholds), parts, reasons, costs, measures, labelled)


def find_blindness(class_roles: np.ndarray) -> str | None:
    """Return why no map of these classes can be scored, ``None`` if maps can.

    A model whose classes have neither road nor other ground nor background calls the road ahead a car, a tree or whatever else it knows,
    and every scene would be critical.
    """
    if np.isin(class_roles, (ROAD, GROUND, BACKGROUND)).any():
        return None
    return "the classes have neither road nor other ground nor background, so the road itself is taken for something else"


def _look_up_roles(ids: np.ndarray, class_roles: np.ndarray, ignore_index: int) -> np.ndarray:
    check_label_ids(ids, num_classes=len(class_roles), ignore_index=ignore_index, where="the label map", advice="give train ids")
    ignored = ids == ignore_index
    return np.where(ignored, np.uint8(IGNORED), class_roles.astype(np.uint8)[np.where(ignored, 0, ids)])


def _add_instances(scene: np.ndarray, instances: Instances, class_roles: np.ndarray, grid: LaneGrid, shape: tuple[int, int]) -> np.ndarray:
    masks = instances.masks
    if masks.dtype != bool or masks.shape != (len(instances), *shape):
        wanted = f"bool {[len(instances), *shape]}"
        raise ValueError(f"expected masks at the size of the map, one per object, {wanted}; got {masks.dtype} {list(masks.shape)}")
    kinds, scene = class_roles[instances.class_ids], scene.copy()
    for role in (VEHICLE, PERSON):
        if (kinds == role).any():
            scene[grid.sample(masks[kinds == role].any(0))] = np.uint8(role)
    return scene


def _find_blind_spots(class_roles: np.ndarray) -> dict[str, str]:
    """Parts that the classes cannot tell, and why."""
    present = set(class_roles.tolist())
    reasons = {}
    if ROAD not in present:
        why = "the classes have no road"
        reasons = dict.fromkeys(("road_visibility", "obstacles", "lane_clarity"), why)
    if PERSON not in present:
        reasons["people"] = "the classes have neither people nor two-wheelers"
    if VEHICLE not in present:
        reasons["vehicles"] = "the classes have no vehicle"
    return reasons


def _unknown(why: str, labelled: float) -> SafetyScore:
    return SafetyScore(None, UNKNOWN, dict.fromkeys(COMPONENTS), dict.fromkeys(COMPONENTS, why), {}, {}, labelled)
