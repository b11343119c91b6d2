"""Where the ego lane lies in the picture: a flat road seen by a level camera, in coordinates that know neither pixels nor focal length.

A point of the road ``X`` metres to the side and ``Z`` metres ahead appears ``f X / Z`` beside and ``f h / Z`` below the vanishing point,
``f`` being the focal length and ``h`` the height of the camera. Measured in units of the *ground height* (the part of the picture between
horizon and lower edge), the row is the *nearness* ``t = Z0 / Z``: 1 at the lower edge, where the nearest visible road is ``Z0`` away, and 0
at the horizon. The offset is ``X / h * t``. The focal length has cancelled out, and so has the size of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_ROWS = 360
_MAX_COLUMNS = 1440


@dataclass(frozen=True, kw_only=True)
class LanePrior:
    """How the camera stands in its lane. The defaults fit a dash camera behind the windscreen of a car.

    Attributes:
        horizon: Height of the horizon as a share of the picture's height, from above.
        bottom: Where the view of the road ends, as a share of the picture's height; less than 1 where a bonnet covers the rest.
        center: Where the lane vanishes, as a share of the picture's width.
        lane_width_m: Width of the ego lane in metres; the default is a narrow urban lane.
        camera_height_m: Height of the camera above the road in metres.
        far: Nearness from which on the ground is judged. At the default, about 40 m ahead, the lane is a fifteenth of a wide picture.
        side_weight: Weight of an object beside the lane; one in the lane weighs 1.

    Raises:
        ValueError: If a setting is out of its range.
    """

    horizon: float = 0.45
    bottom: float = 1.0
    center: float = 0.5
    lane_width_m: float = 3.0
    camera_height_m: float = 1.5
    far: float = 0.1
    side_weight: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.horizon < self.bottom <= 1:
            raise ValueError(f"expected 0 <= horizon < bottom <= 1, got horizon={self.horizon} and bottom={self.bottom}")
        if not 0 < self.far < 1:
            raise ValueError(f"far must lie between 0 (the horizon) and 1 (the lower edge), got {self.far}")
        if not (0 <= self.side_weight <= 1 and 0 <= self.center <= 1):
            raise ValueError(f"side_weight and center must lie in [0, 1], got {self.side_weight} and {self.center}")
        if min(self.lane_width_m, self.camera_height_m) <= 0:
            raise ValueError(f"lane_width_m={self.lane_width_m} and camera_height_m={self.camera_height_m} must be positive")

    def nearness(self, v: np.ndarray) -> np.ndarray:
        """Nearness ``t`` of rows at ``v``, shares of the picture's height; negative above the horizon, above 1 below ``bottom``."""
        return (np.asarray(v, float) - self.horizon) / (self.bottom - self.horizon)

    def offset(self, x: np.ndarray, t: np.ndarray, *, aspect: float) -> np.ndarray:
        """Distance from the middle of the lane in half lane widths; ``inf`` from the horizon up. ``x`` and ``t`` broadcast.

        Args:
            x: Columns as shares of the picture's width, from its middle: -0.5 to 0.5.
            t: Nearness of the point where something touches the ground.
            aspect: Width over height of the picture.
        """
        sideways = np.abs(np.asarray(x, float) - (self.center - 0.5)) * aspect / (self.bottom - self.horizon)
        half_lane = self.lane_width_m / 2 / self.camera_height_m * np.asarray(t, float)
        sideways, half_lane = np.broadcast_arrays(sideways, half_lane)
        return np.divide(sideways, half_lane, out=np.full(sideways.shape, np.inf), where=half_lane > 0)

    def object_weight(self, x: np.ndarray, t: np.ndarray, *, aspect: float) -> np.ndarray:
        """Weight of what touches the ground at ``(x, t)``: 1 in the lane, ``side_weight`` from two half lanes on, linear between.

        Between ``2 * far`` and the horizon the weight fades to ``side_weight``: there a pixel up or down is many metres, and must not
        decide. Along a column the weight never falls towards the lower edge.
        """
        offset = self.offset(x, t, aspect=aspect)
        near = np.clip(np.asarray(t, float) / (2 * self.far), 0, 1)
        return self.side_weight + (1 - self.side_weight) * near * np.clip(2 - offset, 0, 1)


@dataclass(frozen=True)
class LaneGrid:
    """The prior laid over a picture, sampled at the same places whatever the picture's resolution.

    Attributes:
        rows: Indices of the sampled rows, int64 ``[R]``.
        columns: Indices of the sampled columns, int64 ``[K]``, symmetric about the middle.
        x: Places of the columns as shares of the width, from the middle, ``[K]``.
        t: Nearness of the rows ``[R]``.
        aspect: Width over height of the picture.
        first: First row that is judged as ground: those from here on have ``t >= far``, ``G`` in number.
        cell: Area of one sample in squared ground heights.
        lane: The ego lane, bool ``[G, K]``.
        carriageway: The lane and half a lane on either side of it, bool ``[G, K]``.
        borders: Two strips of a fifth of a half lane on either side of the lane's borders, bool ``[G, K]``.
    """

    rows: np.ndarray
    columns: np.ndarray
    x: np.ndarray
    t: np.ndarray
    aspect: float
    first: int
    cell: float
    lane: np.ndarray
    carriageway: np.ndarray
    borders: np.ndarray

    def sample(self, maps: np.ndarray) -> np.ndarray:
        """Take the sampled places from ``[..., H, W]``: ``[..., R, K]``."""
        return maps.take(self.rows, axis=-2).take(self.columns, axis=-1)


@lru_cache(maxsize=16)
def lay_grid(prior: LanePrior, height: int, width: int) -> LaneGrid:
    """Lay the prior over a picture of ``height`` by ``width`` pixels.

    The grid has the same number of rows for every picture, and columns in proportion; a small picture is sampled repeatedly. The right half
    mirrors the left, so a mirrored picture gives mirrored samples.
    """
    half = max(1, min(_MAX_COLUMNS, round(_ROWS * width / height)) // 2)
    left = np.floor((np.arange(half) + 0.5) * width / (2 * half)).astype(np.int64)
    columns = np.concatenate([left, width - 1 - left[::-1]])
    x = (2 * np.arange(2 * half) + 1 - 2 * half) / (4 * half)  # from the middle, so that rounding is the same on both sides
    v = (np.arange(_ROWS) + 0.5) / _ROWS
    v = v[v < prior.bottom]
    rows = np.floor(v * height).astype(np.int64)
    t, aspect = prior.nearness(v), width / height
    first = int(np.searchsorted(t, prior.far))
    offset = prior.offset(x, t[first:, None], aspect=aspect)
    cell = aspect / (_ROWS * 2 * half) / (prior.bottom - prior.horizon) ** 2
    regions = (offset <= 1, offset <= 2, np.abs(offset - 1) <= 0.2)
    grid = LaneGrid(rows, columns, x, t, aspect, first, cell, *regions)
    for array in (rows, columns, x, t, *regions):
        array.setflags(write=False)
    return grid
