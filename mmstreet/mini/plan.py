"""A scene under construction: the things to draw, and the ground that is taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmstreet.mini import plants
from mmstreet.mini.camera import Camera
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.light import Light
from mmstreet.mini.street import Street

Painter = Callable[[Canvas, np.random.Generator], None]


@dataclass
class Item:
    """One thing to draw.

    Attributes:
        depth: Distance by which things are ordered, far to near.
        paint: Draws it.
        seed: Seed of its own details, so that they do not depend on what else is drawn.
        footprint: Left, right, top (metres) and distance of the outline, for movable things.
        wanted: The scene must show it: whatever movable thing would hide it is left out.
    """

    depth: float
    paint: Painter
    seed: int
    footprint: tuple[float, float, float, float] | None = None
    wanted: bool = False


class Plan:
    """The list of things in one scene.

    Args:
        rng: Source of chance.
        index: Number of the scene in its split.
        street: Plan of the ground.
        light: Weather and light.
    """

    def __init__(self, rng: np.random.Generator, index: int, street: Street, light: Light):
        self.rng, self.index, self.street, self.light = rng, index, street, light
        self.signal = str(rng.choice(["red", "yellow", "green"], p=[0.4, 0.12, 0.48]))
        self.leaf = plants.pick_foliage(rng, light.snow)
        self.items: list[Item] = []
        self.taken: list[tuple[float, float, float, float]] = []

    def add(self, depth: float, paint: Painter, *, footprint: tuple | None = None, wanted: bool = False) -> None:
        """Put a thing into the scene; see :class:`Item`."""
        self.items.append(Item(depth, paint, int(self.rng.integers(2**62)), footprint, wanted))

    def claim(self, x: float, z: float, half_width: float, half_length: float) -> bool:
        """Take a piece of ground; return False when it is taken already."""
        if any(abs(x - a) < half_width + c and abs(z - b) < half_length + d for a, b, c, d in self.taken):
            return False
        self.taken.append((x, z, half_width, half_length))
        return True

    def add_tree(self, x: float, z: float, height: float) -> None:
        """Plant a tree, unless it would stand before the lens."""
        if z < 4.0:
            return
        bare = self.light.snow > 0.5
        kind = str(self.rng.choice(["round", "conifer", "slim", "bare"], p=[0.35, 0.2, 0.05, 0.4] if bare else [0.74, 0.1, 0.14, 0.02]))
        self.add(z, lambda c, r: plants.render_tree(c, r, x=x, z=z, height=height, leaf=self.leaf, kind=kind))

    def add_bush(self, x: float, z: float) -> None:
        """Plant a bush, unless it would stand before the lens."""
        if z > 3.5:
            height = self.rng.uniform(0.6, 2.0)
            self.add(z, lambda c, r: plants.render_bush(c, r, x=x, z=z, height=height, leaf=self.leaf))

    def in_view(self, camera: Camera) -> list[Item]:
        """Return the things without those movable ones that are beside the picture, or hide a wanted one, or stand inside it."""

        def span(item: Item, length: float) -> tuple[float, float]:
            x0, x1, _, z = item.footprint
            us = [camera.project(x, 0, at)[0] for x in (x0, x1) for at in (z, z + length)]
            return min(us), max(us)

        wanted = [(item, *span(item, 0)) for item in self.items if item.wanted]
        kept = []
        for item in self.items:
            if item.footprint is not None and not item.wanted:
                (u0, u1), (left, right) = span(item, 4), span(item, 12)
                if right < 0 or left > camera.size_wh[0]:
                    continue
                if any(item.footprint[3] < w.footprint[3] + 6 and min(u1, t1) - max(u0, t0) > 0.15 * (t1 - t0) for w, t0, t1 in wanted):
                    continue
            kept.append(item)
        return kept
