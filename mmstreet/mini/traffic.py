"""What moves: parked and driving vehicles, people, and the rare classes that the index asks for."""

from __future__ import annotations

import math

from mmstreet.mini import cars, people, vehicles
from mmstreet.mini.camera import Pose
from mmstreet.mini.plan import Painter, Plan


def add_parked(plan: Plan, side: int) -> None:
    """Park cars along the kerb."""
    rng, street = plan.rng, plan.street
    if street.parking[int(side > 0)] < 2.0:
        return
    x, z, full = street.edge(side) - side * 1.1, rng.uniform(5, 10), rng.uniform(0.4, 0.9)
    while z < 110:
        if rng.random() < full and not street.in_crossing(z, 6.0):
            _add_vehicle(plan, "car", Pose(x, z, 0.0 if side > 0 or rng.random() < 0.2 else math.pi))
        z += rng.uniform(5.6, 7.2)


def add_traffic(plan: Plan) -> None:
    """Put vehicles into the lanes, and a car into the side street."""
    rng, street = plan.rng, plan.street
    for lane in street.lanes:
        own = abs(lane.x) < 0.5
        z = rng.uniform(9, 30) if own else rng.uniform(6, 26)
        dense = rng.uniform(7, 40)
        while z < 140:
            kind = "truck" if rng.random() < (0.06 if street.scene == "highway" else 0.03) else "car"
            yaw = (math.pi if lane.oncoming else 0.0) + rng.normal(0, 0.02)
            if not street.in_crossing(z, 2.5):
                _add_vehicle(plan, kind, Pose(lane.x + rng.normal(0, 0.15), z, yaw))
            z += rng.exponential(dense) + 8.0
    if street.crossing is not None and rng.random() < 0.6:
        z = street.crossing + street.crossing_width * rng.uniform(0.25, 0.75)
        _add_vehicle(plan, "car", Pose(rng.uniform(street.left - 8, street.right + 8), z, float(rng.choice([-1, 1])) * math.pi / 2))


def add_people(plan: Plan) -> None:
    """Put people on the pavements and the zebra."""
    rng, street = plan.rng, plan.street
    if street.scene == "highway":
        return
    busy = rng.poisson(3.0 if street.scene == "city street" else 1.0)
    for _ in range(busy):
        side = int(rng.choice([-1, 1]))
        width = street.pavement[int(side > 0)]
        x = street.edge(side) + side * rng.uniform(0.9, max(1.0, width - 0.4))
        _add_person(plan, x, rng.uniform(8, 45), float(rng.choice([0.0, math.pi])) + rng.normal(0, 0.3))
    if street.crossing is not None:
        for _ in range(int(rng.integers(0, 3))):
            x = rng.uniform(street.left, street.right)
            _add_person(plan, x, street.crossing - rng.uniform(0.8, 3.0), float(rng.choice([-1, 1])) * math.pi / 2)


def add_wanted(plan: Plan) -> None:
    """Place what the index asks for: a bicycle in every fourth scene, other rare vehicles more seldom."""
    rng, street, i = plan.rng, plan.street, plan.index
    lane = street.right - street.parking[1] - 0.9
    if i % 8 in (0, 1, 4):
        render = people.render_bicycle if i % 4 == 0 else people.render_motorcycle
        ridden = (i // 4) % 3 != 2
        side_on = (i // 8) % 2 == 1
        z = rng.uniform(15, 23) if side_on else rng.uniform(9, 14)
        x = lane if ridden else street.right + 0.6
        yaw = (
            float(rng.choice([-1, 1])) * rng.uniform(0.9, 1.5)
            if side_on
            else float(rng.choice([0.0, math.pi], p=[0.7, 0.3])) + rng.normal(0, 0.25)
        )
        if side_on and ridden:
            x = rng.uniform(max(street.left, -4), min(street.right, 5))
        pose = Pose(x, z, yaw)
        plan.add(z, lambda c, r: render(c, r, pose, ridden=ridden), footprint=(x - 0.7, x + 0.7, 1.8, z), wanted=True)
    if i % 4 == 2 and street.scene != "highway":
        for _ in range(2):
            _add_person(plan, street.right + rng.uniform(0.5, 1.4), rng.uniform(9, 20), rng.uniform(-1.5, 1.5), wanted=True)
    if i % 8 in (3, 6):
        lane = street.lanes[int(rng.integers(len(street.lanes)))]
        z = rng.uniform(22, 40) if abs(lane.x) < 2 else rng.uniform(15, 30)
        kind = "bus" if (i // 8 + i % 8) % 2 else "truck"
        _add_vehicle(plan, kind, Pose(lane.x, z, math.pi if lane.oncoming else 0.0), wanted=True)
    if i % 20 == 6:
        z = rng.uniform(48, 62)
        _add_vehicle(plan, "train", Pose(street.lanes[0].x, z, math.pi if street.lanes[0].oncoming else 0.0), wanted=True)


def _add_vehicle(plan: Plan, kind: str, pose: Pose, *, wanted: bool = False) -> None:
    rng = plan.rng
    length, width, height = {"car": (4.6, 1.85, 1.5), "truck": (9.0, 2.4, 3.3), "bus": (11.5, 2.5, 3.1), "train": (28.0, 2.7, 3.5)}[kind]
    across = abs(math.sin(pose.yaw)) > 0.7
    half_x, half_z = (length / 2, width / 2) if across else (width / 2, length / 2)
    if pose.z - half_z < 3.2 or not (wanted or plan.claim(pose.x, pose.z, half_x + 0.15, half_z + 0.7)):
        return
    if wanted:
        plan.taken.append((pose.x, pose.z, half_x, half_z))
    shape, braking = str(rng.choice(list(cars.CAR_SHAPES), p=[0.34, 0.22, 0.27, 0.09, 0.08])), rng.random() < 0.3
    renderers: dict[str, Painter] = {
        "car": lambda c, r: cars.render_car(c, r, pose, shape=shape, braking=braking),
        "truck": lambda c, r: vehicles.render_truck(c, r, pose),
        "bus": lambda c, r: vehicles.render_bus(c, r, pose),
        "train": lambda c, r: vehicles.render_tram(c, r, pose),
    }
    near = pose.z - half_z
    plan.add(near + 0.3 * half_z, renderers[kind], footprint=(pose.x - half_x, pose.x + half_x, height, near), wanted=wanted)


def _add_person(plan: Plan, x: float, z: float, yaw: float, *, wanted: bool = False) -> None:
    if not plan.claim(x, z, 0.4, 0.4) and not wanted:
        return
    walking, pose = plan.rng.random() < 0.8, Pose(x, z, yaw)
    plan.add(z, lambda c, r: people.render_pedestrian(c, r, pose, walking=walking), footprint=(x - 0.35, x + 0.35, 1.8, z), wanted=wanted)
