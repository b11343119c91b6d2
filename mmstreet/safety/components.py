"""The five parts of the safety score, each a formula on the roles of sampled pixels.

Every part lies in [0, 1], 1 being the safest, or is ``None`` where the classes or the labelled pixels cannot tell. Objects get their place
from the lowest of their pixels in each column, where they are taken to touch the ground. A person added in front of anything labelled
lowers a part or leaves it: a person occludes what is behind, which is therefore not taken to be gone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmstreet.safety.prior import LaneGrid, LanePrior
from mmstreet.safety.roles import GROUND, IGNORED, NUM_ROLES, PERSON, ROAD, STANDING, VEHICLE

COMPONENTS = ("road_visibility", "people", "vehicles", "obstacles", "lane_clarity")
_IS_GROUND = np.isin(np.arange(NUM_ROLES), (ROAD, GROUND))
_BLOCKS = np.isin(np.arange(NUM_ROLES), (PERSON, VEHICLE, STANDING))


@dataclass(frozen=True)
class Burden:
    """How much of the picture objects fill, in squared ground heights.

    Attributes:
        weighted: Area, each column weighted by the prior.
        in_lane: Area of the columns whose contact lies in the lane, not weighted.
        nearest: Nearness of the nearest object in the lane; 0 without one.
    """

    weighted: float
    in_lane: float
    nearest: float


def find_contacts(mask: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Nearness of the lowest pixel of a mask in each column.

    Args:
        mask: Where the objects are, bool ``[R, K]``.
        t: Nearness of the rows ``[R]``, rising.

    Returns:
        ``[K]``; 0 in columns without a pixel and where the lowest is above the horizon.
    """
    depth = np.arange(1, mask.shape[0] + 1, dtype=np.uint16)[:, None]
    return np.append(0.0, np.maximum(t, 0))[(mask * depth).max(0)]  # six times as fast as argmax on the reversed mask


def measure_burden(mask: np.ndarray, grid: LaneGrid, prior: LanePrior) -> Burden:
    """Add up the area of objects, each column weighted by where its lowest pixel touches the ground.

    Size stands for distance: an object at nearness ``t`` fills an area in proportion to ``t ** 2``. A person of 1.7 m in the lane gives
    about ``0.3 * t ** 2``, a car from behind about ``1.2 * t ** 2``.

    Args:
        mask: Where the objects are, bool ``[R, K]``.
        grid: The sampled places.
        prior: The lane.
    """
    contacts = find_contacts(mask, grid.t)
    weights = prior.object_weight(grid.x, contacts, aspect=grid.aspect)
    area = np.add.reduce(mask, 0, dtype=np.uint16) * grid.cell
    in_lane = (contacts >= prior.far) & (prior.offset(grid.x, contacts, aspect=grid.aspect) <= 1)
    return Burden(float(weights @ area), float(area[in_lane].sum()), float(contacts[in_lane].max(initial=0.0)))


def fade(burden: float, half_at: float) -> float:
    """Turn a burden into a part of the score, ``1 / (1 + burden / half_at)``: 1 without any, one half at ``half_at``, towards 0 beyond."""
    return 1 / (1 + burden / half_at)


def count_by_row(mask: np.ndarray) -> np.ndarray:
    """Number of set pixels in each row."""
    return np.count_nonzero(mask, axis=1)


def share_by_row(wanted: np.ndarray, region: np.ndarray, valid: np.ndarray) -> float | None:
    """Share of a region's valid pixels that are wanted, each row counting by the share of it that is valid, near and far rows alike.

    Args:
        wanted: bool ``[G, K]``.
        region: bool ``[G, K]``.
        valid: bool ``[G, K]``.

    Returns:
        In ``[0, 1]``; ``None`` when no pixel of the region is valid.
    """
    per_row = np.maximum(count_by_row(region), 1)
    seen = (count_by_row(region & valid) / per_row).sum()
    return None if seen == 0 else float((count_by_row(region & valid & wanted) / per_row).sum() / seen)


def measure_blocking(blocked: np.ndarray, lane: np.ndarray) -> float:
    """How much of the lane ahead is cut off by what stands in it.

    Row by row from the lower edge to the far end: the share of the lane's width that is blocked there or nearer, whichever is the most.
    The mean over the rows is returned. A barrier over the full width at nearness ``t`` gives
    ``(t - far) / (1 - far)``, which is 1 at the bumper; an empty lane gives 0.

    Args:
        blocked: Where something stands, bool ``[G, K]``, far rows first.
        lane: The lane, bool ``[G, K]``.
    """
    share = count_by_row(blocked & lane) / np.maximum(count_by_row(lane), 1)
    return float(np.maximum.accumulate(share[::-1]).mean())


def measure_components(
    roles: np.ndarray, grid: LaneGrid, prior: LanePrior, *, people_half: float, vehicles_half: float
) -> tuple[dict[str, float | None], dict[str, float]]:
    """Compute the five parts of a map whose classes tell everything apart.

    Args:
        roles: Role of every sampled pixel, ``[R, K]``; see :mod:`mmstreet.safety.roles`.
        grid: The sampled places.
        prior: The lane.
        people_half: Burden of people at which their part is one half, in squared ground heights.
        vehicles_half: The same for vehicles.

    Returns:
        The parts in :data:`COMPONENTS`' order, ``None`` where no pixel of the region is labelled; and the measures behind them: burdens
        and areas in squared ground heights, nearness and blocking in ``[0, 1]``.
    """
    people, vehicles = roles == PERSON, roles == VEHICLE
    ground = roles[grid.first :]
    valid = ground != IGNORED
    on_foot, driving = measure_burden(people, grid, prior), measure_burden(vehicles, grid, prior)
    # People count here too, as pixels that may hide a vehicle; else the part would rise when somebody steps in front of a car.
    traffic = measure_burden(people | vehicles, grid, prior)
    blocking = measure_blocking(_BLOCKS[ground], grid.lane)
    parts = {
        "road_visibility": share_by_row(ground == ROAD, grid.carriageway, valid),
        "people": fade(on_foot.weighted, people_half),
        "vehicles": fade(traffic.weighted, vehicles_half),
        "obstacles": 1 - blocking,
        "lane_clarity": share_by_row(_IS_GROUND[ground], grid.borders, valid),
    }
    measures = {
        "people_burden": on_foot.weighted,
        "people_in_lane": on_foot.in_lane,
        "people_nearness": on_foot.nearest,
        "vehicles_burden": traffic.weighted,
        "vehicles_in_lane": driving.in_lane,
        "vehicles_nearness": driving.nearest,
        "blocking": blocking,
    }
    return parts, measures
