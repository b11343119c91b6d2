"""The ground: carriageway, markings, kerbs, pavements, verges, and a side street that crosses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmstreet.mini.camera import FAR, NEAR
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Rgb, mix, vary

_STATIONS = (NEAR, 2.0, 3.0, 4.5, 6.5, 9.0, 12.0, 16.0, 21.0, 28.0, 37.0, 50.0, 70.0, 100.0, 150.0, 230.0, FAR)
KERB = 0.13
"""Height of the pavement above the road in metres."""


@dataclass(frozen=True)
class Lane:
    """One traffic lane: its middle in metres, and whether it comes towards the camera."""

    x: float
    oncoming: bool


@dataclass(frozen=True)
class Street:
    """The plan of a street seen from the camera car's lane; metres, ``x = 0`` under the camera.

    Attributes:
        scene: BDD100K's word for the place.
        left: Left edge of the carriageway.
        right: Right edge of the carriageway.
        lanes: Traffic lanes from left to right.
        lane_width: Width of a lane.
        divider: Where the directions meet; ``None`` on a one-way carriageway.
        parking: Width of the parking strip at the left and at the right edge, 0 where there is none.
        pavement: Width of the pavement on the left and on the right, 0 where there is none.
        verge: Width of grass between pavement and buildings, left and right.
        crossing: Distance of the side street's near edge; ``None`` without one.
        crossing_width: Width of the side street.
    """

    scene: str
    left: float
    right: float
    lanes: tuple[Lane, ...]
    lane_width: float
    divider: float | None
    parking: tuple[float, float]
    pavement: tuple[float, float]
    verge: tuple[float, float]
    crossing: float | None
    crossing_width: float

    def edge(self, side: int) -> float:
        """Return the edge of the carriageway on ``side`` (-1 left, 1 right)."""
        return self.right if side > 0 else self.left

    def frontage(self, side: int) -> float:
        """Return where buildings begin on ``side``."""
        i = int(side > 0)
        return self.edge(side) + side * (self.pavement[i] + self.verge[i])

    def in_crossing(self, z: float, margin: float = 0.0) -> bool:
        """Tell whether distance ``z`` lies in the side street, widened by ``margin`` on both sides."""
        return self.crossing is not None and self.crossing - margin < z < self.crossing + self.crossing_width + margin


def plan_street(rng: np.random.Generator, scene: str, *, crossing: bool) -> Street:
    """Sample the plan of a street.

    Args:
        rng: Source of chance.
        scene: ``'city street'``, ``'residential'`` or ``'highway'``.
        crossing: Whether a side street crosses.
    """
    width = rng.uniform(3.1, 3.6)
    if scene == "highway":
        ahead, back = int(rng.integers(2, 5)), 0
        parking, pavement = (rng.uniform(0.6, 1.2), rng.uniform(1.5, 3.0)), (0.0, 0.0)
        verge = (rng.uniform(0.5, 1.5), rng.uniform(2.0, 6.0))
    elif scene == "residential":
        ahead, back = 1, 1
        parking = tuple(rng.choice([0.0, 2.2], p=[0.3, 0.7]) for _ in range(2))
        pavement = tuple(rng.uniform(1.3, 2.0, 2))
        verge = tuple(rng.uniform(1.5, 6.0, 2))
    else:
        ahead, back = int(rng.integers(1, 4)), int(rng.integers(0, 4))
        parking = tuple(rng.choice([0.0, 2.3], p=[0.35, 0.65]) for _ in range(2))
        pavement = tuple(rng.uniform(2.0, 4.0, 2))
        verge = tuple(np.where(rng.random(2) < 0.25, rng.uniform(1.0, 4.0, 2), 0.0))
    own = int(rng.integers(0, ahead))
    lanes = [Lane((i - own) * width, False) for i in range(ahead)]
    lanes = [Lane((-own - 1 - i) * width, True) for i in reversed(range(back))] + lanes
    return Street(
        scene=scene,
        left=lanes[0].x - width / 2 - parking[0],
        right=lanes[-1].x + width / 2 + parking[1],
        lanes=tuple(lanes),
        lane_width=width,
        divider=(-own - 0.5) * width if back else None,
        parking=tuple(map(float, parking)),
        pavement=tuple(map(float, pavement)),
        verge=tuple(map(float, verge)),
        crossing=float(rng.uniform(14, 38)) if crossing else None,
        crossing_width=float(rng.uniform(8, 14)),
    )


def render_ground(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Draw everything that is flat, and the kerbs."""
    snow = canvas.light.snow
    white = (0.86, 0.88, 0.91)
    asphalt = mix(vary(rng, (0.40, 0.40, 0.41), 0.25), white, 0.55 * snow)
    grass = mix(vary(rng, ((0.36, 0.43, 0.19), (0.50, 0.46, 0.28), (0.30, 0.40, 0.16))[rng.integers(3)], 0.2), white, min(1.0, 1.1 * snow))
    paving = mix(vary(rng, ((0.64, 0.62, 0.59), (0.56, 0.53, 0.50), (0.66, 0.60, 0.53))[rng.integers(3)], 0.12), white, 0.9 * snow)
    marking = mix(asphalt, (0.93, 0.93, 0.90), rng.uniform(0.5, 1.0) * (1 - 0.6 * snow))

    up = (0.0, 1.0, 0.0)
    terrain = canvas.paint(grass, "terrain", normal=up, ground=True, texture="grass")
    road = canvas.paint(asphalt, "road", normal=up, ground=True, texture="asphalt")
    canvas.fill([(-500, 0, NEAR), (-500, 0, FAR), (500, 0, FAR), (500, 0, NEAR)], terrain)
    _strip(canvas, street.left, street.right, road)
    for side in (-1, 1):
        _render_edge(canvas, street, side, paving, asphalt)
    if street.crossing is not None:
        near, far = street.crossing, street.crossing + street.crossing_width
        canvas.fill([(-150, 0, near), (-150, 0, far), (150, 0, far), (150, 0, near)], road)
    _render_wear(canvas, street, rng, asphalt)
    _render_markings(canvas, street, rng, marking, asphalt)


def _strip(canvas: Canvas, x0: float, x1: float, paint: int, *, y: float = 0.0, z0: float = NEAR, z1: float = FAR) -> None:
    """Fill a strip along the street; it follows the bend."""
    stations = [z0, *(z for z in _STATIONS if z0 < z < z1), z1]
    canvas.fill([(x0, y, z) for z in stations] + [(x1, y, z) for z in reversed(stations)], paint)


def _render_edge(canvas: Canvas, street: Street, side: int, paving: Rgb, asphalt: Rgb) -> None:
    """Paint kerb and pavement on one side, leaving the side street open."""
    i = int(side > 0)
    if street.pavement[i] == 0:
        return
    edge = street.edge(side)
    outer = edge + side * street.pavement[i]
    stone = mix(paving, (0.75, 0.74, 0.72), 0.5)
    spans = [(NEAR, FAR)]
    if street.crossing is not None:
        spans = [(NEAR, street.crossing), (street.crossing + street.crossing_width, FAR)]
    face = canvas.paint(mix(stone, asphalt, 0.45), "sidewalk", normal=(-side, 0, 0), ground=True, texture="rough")
    top = canvas.paint(stone, "sidewalk", normal=(0, 1, 0), ground=True, texture="rough")
    flags = canvas.paint(paving, "sidewalk", normal=(0, 1, 0), ground=True, texture="asphalt")
    joint = canvas.paint(mix(paving, (0, 0, 0), 0.18), "sidewalk", normal=(0, 1, 0), ground=True, texture="rough")
    for z0, z1 in spans:
        stations = [z0, *(z for z in _STATIONS if z0 < z < z1), z1]
        canvas.fill([(edge, 0, z) for z in stations] + [(edge, KERB, z) for z in reversed(stations)], face)
        _strip(canvas, edge, outer, flags, y=KERB, z0=z0, z1=z1)
        _strip(canvas, edge, edge + side * 0.22, top, y=KERB, z0=z0, z1=z1)
        z = np.ceil(z0 / 1.5) * 1.5
        while z < min(z1, 40.0):
            canvas.fill([(edge, KERB, z), (edge, KERB, z + 0.05), (outer, KERB, z + 0.05), (outer, KERB, z)], joint)
            z += 1.5


def _render_wear(canvas: Canvas, street: Street, rng: np.random.Generator, asphalt: Rgb) -> None:
    """Paint patches, sealed cracks and manholes, all of class road."""
    up = (0.0, 1.0, 0.0)
    for _ in range(int(rng.integers(1, 6))):
        tone = canvas.paint(vary(rng, asphalt, 0.16), "road", normal=up, ground=True, texture="asphalt")
        x, z, w, length = rng.uniform(street.left, street.right - 2), rng.uniform(2, 45), rng.uniform(0.7, 2.4), rng.uniform(1, 9)
        x1 = min(x + w, street.right)
        canvas.fill([(x, 0, z), (x, 0, z + length), (x1, 0, z + length), (x1, 0, z)], tone)
    tar = canvas.paint(mix(asphalt, (0.05, 0.05, 0.05), 0.5), "road", normal=up, ground=True, texture="rough")
    for _ in range(int(rng.integers(0, 5))):
        x, z = rng.uniform(street.left + 1, street.right - 1), rng.uniform(3, 25)
        for _ in range(int(rng.integers(3, 9))):
            x2, z2 = x + rng.uniform(-0.5, 0.5), z + rng.uniform(0.4, 1.6)
            x2 = min(max(x2, street.left + 0.2), street.right - 0.2)
            canvas.fill([(x, 0, z), (x2, 0, z2), (x2 + 0.07, 0, z2), (x + 0.07, 0, z)], tar)
            x, z = x2, z2
    for _ in range(int(rng.integers(0, 3))):
        x, z = rng.uniform(street.left + 1, street.right - 1), rng.uniform(5, 25)
        angles = np.linspace(0, 2 * np.pi, 14)
        canvas.fill([(x + 0.33 * np.cos(a), 0, z + 0.33 * np.sin(a)) for a in angles], tar)


def _render_markings(canvas: Canvas, street: Street, rng: np.random.Generator, marking: Rgb, asphalt: Rgb) -> None:
    """Paint lane lines, divider, edge lines and, at a side street, stop line and zebra."""
    up = (0.0, 1.0, 0.0)
    white = canvas.paint(marking, "road", normal=up, ground=True, texture="rough")
    yellow = canvas.paint(mix(asphalt, (0.88, 0.68, 0.18), rng.uniform(0.6, 1.0)), "road", normal=up, ground=True, texture="rough")
    stop = None if street.crossing is None else street.crossing - 4.6
    spans = [(NEAR, 160.0)] if stop is None else [(NEAR, stop), (street.crossing + street.crossing_width + 2.0, 160.0)]
    line, phase = rng.uniform(0.11, 0.16), rng.uniform(0, 9)
    dash, gap = ((3.0, 6.0), (3.0, 9.0), (1.5, 3.0))[rng.integers(3)]

    for a, b in zip(street.lanes, street.lanes[1:]):
        middle = (a.x + b.x) / 2
        for z0, z1 in spans:
            if a.oncoming != b.oncoming:
                paint = yellow if rng.random() < 0.8 else white
                _strip(canvas, middle - 0.2, middle - 0.2 + line, paint, z0=z0, z1=z1)
                _strip(canvas, middle + 0.2 - line, middle + 0.2, paint, z0=z0, z1=z1)
                continue
            z = phase - 9.0
            while z < min(z1, 110.0):
                lo, hi = max(z, z0), min(z + dash, z1)
                if lo < hi:
                    _strip(canvas, middle - line / 2, middle + line / 2, white, z0=lo, z1=hi)
                z += dash + gap
    if street.scene == "highway" or rng.random() < 0.4:
        for z0, z1 in spans:
            x0, x1 = street.left + street.parking[0], street.right - street.parking[1]
            _strip(canvas, x0, x0 + line, yellow if street.scene == "highway" else white, z0=z0, z1=z1)
            _strip(canvas, x1 - line, x1, white, z0=z0, z1=z1)
    if stop is not None and stop > NEAR + 1:
        own = street.divider if street.divider is not None else street.left
        _strip(canvas, own + 0.3, street.right - street.parking[1], white, z0=stop, z1=stop + 0.45)
        x = street.left + 0.4
        while x < street.right - 0.5:
            _strip(canvas, x, x + 0.5, white, z0=street.crossing - 3.4, z1=street.crossing - 0.6)
            x += 1.0
