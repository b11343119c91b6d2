"""What stands where: the plan of one scene, sampled from a seed, a split and an index.

Rare classes are placed by the index, not by luck, so that small sets have them too. Light, colours and places are luck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmstreet.mini import frontage, traffic
from mmstreet.mini.camera import Camera
from mmstreet.mini.canvas import OVERSAMPLING, Canvas
from mmstreet.mini.light import Light, sample_light
from mmstreet.mini.plan import Item, Plan
from mmstreet.mini.street import Street, plan_street, render_ground


@dataclass
class Scene:
    """A planned scene, ready to be rendered.

    Attributes:
        street: Plan of the ground.
        light: Weather and light.
        camera: Projection, in canvas pixels.
        items: Things to draw.
        bonnet: Height of the camera car's bonnet as a share of the picture, 0 when it is out of sight.
        ground_seed: Seed of the ground's details.
    """

    street: Street
    light: Light
    camera: Camera
    items: list[Item]
    bonnet: float
    ground_seed: int

    def render(self) -> Canvas:
        """Draw the scene from far to near."""
        canvas = Canvas(self.camera, self.light)
        render_ground(canvas, self.street, np.random.default_rng(self.ground_seed))
        for item in sorted(self.items, key=lambda item: -item.depth):
            item.paint(canvas, np.random.default_rng(item.seed))
        if self.bonnet:
            _render_bonnet(canvas, self.bonnet)
        return canvas


def plan_scene(rng: np.random.Generator, index: int, size_wh: tuple[int, int]) -> Scene:
    """Sample the plan of scene ``index``.

    Args:
        rng: Source of chance; the plan does not depend on the size of the picture.
        index: Number of the scene in its split; decides which rare classes it must show.
        size_wh: Width and height of the picture in pixels.
    """
    light = sample_light(rng)
    kind = "highway" if index % 4 == 3 else str(rng.choice(["city street", "residential"], p=[0.58, 0.42]))
    crossing = kind != "highway" and (index % 5 == 1 or rng.random() < (0.5 if kind == "city street" else 0.25))
    street = plan_street(rng, kind, crossing=crossing)
    width, height = (OVERSAMPLING * n for n in size_wh)
    camera = Camera(
        size_wh=(width, height),
        focal=rng.uniform(0.78, 0.95) * width,
        horizon=rng.uniform(0.47, 0.57) * height,
        height=rng.uniform(1.25, 1.6),
        bend=float(rng.choice([0.0, rng.uniform(-0.0012, 0.0012)], p=[0.4, 0.6])),
    )
    plan = Plan(rng, index, street, light)
    frontage.add_backdrop(plan)
    for side in (-1, 1):
        frontage.add_frontage(plan, side)
        frontage.add_furniture(plan, side)
        traffic.add_parked(plan, side)
    traffic.add_traffic(plan)
    traffic.add_people(plan)
    traffic.add_wanted(plan)
    bonnet = float(rng.uniform(0.03, 0.09)) if rng.random() < 0.45 else 0.0
    return Scene(street, light, camera, plan.in_view(camera), bonnet, int(rng.integers(2**62)))


def _render_bonnet(canvas: Canvas, share: float) -> None:
    """Paint the camera car's own bonnet over the foot of the picture; it carries no label."""
    width, height = canvas.camera.size_wh
    us = np.linspace(-0.05, 1.05, 40)
    edge = [(u * width, height * (1 - share * (1 - (2 * abs(u - 0.5)) ** 2.6 * 0.75))) for u in us]
    for grow, tone in ((0.0, (0.13, 0.13, 0.14)), (0.25, (0.20, 0.20, 0.22))):
        paint = canvas.paint(tone, None, normal=(0, 1, 0))
        canvas.flat(
            [(u, v + grow * share * height) for u, v in edge] + [(1.05 * width, 1.1 * height), (-0.05 * width, 1.1 * height)], paint
        )
