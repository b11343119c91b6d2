"""What lines a street: buildings, plots, parks, roadside, posts, signs and street trees."""

from __future__ import annotations

import numpy as np

from mmstreet.mini import buildings, furniture, plants
from mmstreet.mini.camera import FAR
from mmstreet.mini.plan import Plan


def add_backdrop(plan: Plan) -> None:
    rng, leaf = plan.rng, plan.leaf
    far_leaf = tuple(0.8 * c for c in leaf)
    for z, height in ((FAR * 0.95, rng.uniform(16, 50)), (FAR * 0.7, rng.uniform(6, 20))):
        plan.add(z, lambda c, r, z=z, h=height: plants.render_hills(c, r, z=z, height=h, leaf=far_leaf))
    if plan.street.scene == "city street" or rng.random() < 0.3:
        density = rng.uniform(0.4, 0.95)
        plan.add(FAR * 0.6, lambda c, r: buildings.render_skyline(c, r, z=FAR * 0.6, density=density))


def add_frontage(plan: Plan, side: int) -> None:
    """Line one side of the street with buildings, houses, walls, fences and trees."""
    rng, street = plan.rng, plan.street
    front, z = street.frontage(side), -2.0
    green = rng.uniform(0.12, 0.45) if street.scene == "city street" else rng.uniform(0.3, 0.55)
    bound = plan.index % 4 == 3 or rng.random() < 0.5
    while z < 190:
        length = rng.uniform(9, 24)
        z1 = z + length
        if street.crossing is not None and z < street.crossing + street.crossing_width + 1.5 and z1 > street.crossing - 1.5:
            if street.crossing - z < 6:
                z = street.crossing + street.crossing_width + 1.5
                continue
            z1 = street.crossing - 1.5
        if street.scene == "highway":
            _add_roadside(plan, side, front, z, z1)
        elif street.scene == "residential":
            _add_plot(plan, side, front, z, z1, green, bound)
        elif rng.random() < green:
            _add_green(plan, side, front, z, z1, bound)
        else:
            height = rng.uniform(6, 20) if rng.random() < 0.85 else rng.uniform(20, 40)
            plan.add(z1 + 5, lambda c, r, z=z, z1=z1, h=height: buildings.render_block(c, r, x=front, z0=z, z1=z1, side=side, height=h))
        z = z1 + (rng.uniform(0, 4) if rng.random() < 0.3 else 0.0)


def _add_plot(plan: Plan, side: int, front: float, z: float, z1: float, green: float, bound: bool) -> None:
    rng = plan.rng
    if rng.random() < green:
        _add_green(plan, side, front, z, z1, bound)
        return
    setback = rng.uniform(2, 7)
    x = front + side * setback
    plan.add(z1 + 6, lambda c, r: buildings.render_house(c, r, x=x, z0=z + 1.5, z1=z1 - 1.5, side=side))
    if bound and rng.random() < 0.6:
        height, fenced = rng.uniform(0.9, 1.6), rng.random() < 0.75
        render = buildings.render_fence if fenced else buildings.render_wall
        plan.add(z1 + 2, lambda c, r: render(c, r, x=front, z0=z, z1=z1, side=side, height=height))
    for _ in range(int(rng.integers(0, 4))):
        plan.add_bush(front + side * rng.uniform(0.8, setback), rng.uniform(z, z1))
    if rng.random() < 0.5:
        plan.add_tree(front + side * rng.uniform(1, setback + 2), rng.uniform(z, z1), rng.uniform(5, 10))


def _add_green(plan: Plan, side: int, front: float, z: float, z1: float, bound: bool) -> None:
    """A park or an empty plot: trees, and perhaps a wall or a fence before them."""
    rng = plan.rng
    for _ in range(int(rng.integers(2, 6))):
        plan.add_tree(front + side * rng.uniform(1.5, 14), rng.uniform(z, z1), rng.uniform(6, 13))
    if bound:
        height, fenced = rng.uniform(1.1, 2.4), rng.random() < 0.65
        render = buildings.render_fence if fenced else buildings.render_wall
        plan.add(z1 + 2, lambda c, r: render(c, r, x=front, z0=z, z1=z1, side=side, height=height))
    else:
        for _ in range(int(rng.integers(2, 7))):
            plan.add_bush(front + side * rng.uniform(0.5, 5), rng.uniform(z, z1))


def _add_roadside(plan: Plan, side: int, front: float, z: float, z1: float) -> None:
    """A stretch of highway verge: barrier or fence, then trees, and now and then a building behind them."""
    rng = plan.rng
    walled = (plan.index // 4 + (side > 0)) % 3
    if walled == 0:
        height = 0.9 if side < 0 else 2.7
        plan.add(
            z1 + 2,
            lambda c, r: buildings.render_wall(c, np.random.default_rng(plan.index), x=front, z0=z, z1=z1, side=side, height=height),
        )
    elif walled == 1:
        plan.add(
            z1 + 2, lambda c, r: buildings.render_fence(c, np.random.default_rng(plan.index), x=front, z0=z, z1=z1, side=side, height=1.7)
        )
    for _ in range(int(rng.integers(1, 5))):
        plan.add_tree(front + side * rng.uniform(3, 22), rng.uniform(z, z1), rng.uniform(6, 14))
    for _ in range(int(rng.integers(0, 4))):
        plan.add_bush(front + side * rng.uniform(1, 9), rng.uniform(z, z1))
    if rng.random() < 0.2:
        x, eaves = front + side * rng.uniform(14, 30), rng.uniform(6, 16)
        plan.add(z1 + 25, lambda c, r: buildings.render_block(c, r, x=x, z0=z, z1=z1, side=side, height=eaves))


def add_furniture(plan: Plan, side: int) -> None:
    """Set posts, lamps, signs, traffic lights and street trees along the kerb."""
    rng, street = plan.rng, plan.street
    kerb = street.edge(side) + side * 0.7
    pitch, z, style = rng.uniform(16, 30), rng.uniform(6, 20), rng.random()
    while z < 120:
        if not street.in_crossing(z, 1.0):
            if style < 0.65 or street.scene == "highway":
                plan.add(z, lambda c, r, z=z: furniture.render_street_lamp(c, r, x=kerb, z=z, side=side))
            else:
                plan.add(z, lambda c, r, z=z: furniture.render_utility_post(c, r, x=kerb, z=z))
        z += pitch
    if street.scene == "city street" and rng.random() < 0.25:
        for z in np.arange(rng.uniform(5, 9), 40, 2.2):
            if not street.in_crossing(z):
                plan.add(z, lambda c, r, z=z: furniture.render_bollard(c, r, x=kerb - side * 0.2, z=z))
    for _ in range(int(rng.integers(1, 4))):
        z, kind = rng.uniform(9, 45), str(rng.choice(("limit", "warning") if street.scene == "highway" else furniture.SIGNS))
        if not street.in_crossing(z) and plan.claim(kerb, z, 0.3, 1.5):
            plan.add(z, lambda c, r, z=z, kind=kind: furniture.render_sign(c, r, x=kerb + side * 0.2, z=z, kind=kind))
    if street.scene != "highway" and rng.random() < 0.65:
        for z in np.arange(rng.uniform(8, 14), 90, rng.uniform(9, 18)):
            if not street.in_crossing(z, 2.0) and plan.claim(kerb + side * 0.5, z, 0.4, 1.0):
                plan.add_tree(kerb + side * 0.5, z, rng.uniform(5, 10))
    if street.crossing is not None:
        arm = float(rng.choice([0.0, rng.uniform(3.5, 6.5)]))
        for z in (street.crossing - 0.8, street.crossing + street.crossing_width + 0.8):
            plan.add(
                z,
                lambda c, r, z=z: furniture.render_traffic_light(
                    c, r, x=kerb, z=z, side=side, state=plan.signal, arm=arm if side > 0 else 0.0
                ),
            )
    if street.scene == "highway" and side > 0 and rng.random() < 0.8:
        z = rng.uniform(28, 70)
        plan.add(z, lambda c, r: furniture.render_gantry(c, r, left=street.left - 1.2, right=street.right + 1.2, z=z))
