"""Each part is its stated formula."""

import numpy as np
import pytest

from mmstreet.safety import components as C
from mmstreet.safety.prior import LanePrior, lay_grid
from tests.helpers.street_scene import put, render_street

PRIOR = LanePrior()
PERSON_ID, CAR_ID = 11, 13


def burden_of(name, class_id, **place):
    labels = put(render_street(720, 1280), name, **place)
    grid = lay_grid(PRIOR, *labels.shape)
    return C.measure_burden(grid.sample(labels == class_id), grid, PRIOR)


@pytest.mark.parametrize("ahead", [6.0, 10.0, 15.0])
def test_burden_in_the_lane_is_area_in_metres_over_camera_height_squared_times_nearness_squared(ahead):
    expected = 0.5 * 1.7 / 1.5**2 * (4 / ahead) ** 2
    burden = burden_of("person", PERSON_ID, ahead=ahead)
    assert burden.weighted == pytest.approx(expected, rel=0.1)
    assert burden.in_lane == pytest.approx(burden.weighted)
    assert burden.nearest == pytest.approx(4 / ahead, abs=0.01)


def test_burden_beside_the_lane_is_scaled_by_the_side_weight():
    burden = burden_of("person", PERSON_ID, ahead=10.0, aside=4.0)
    assert burden.weighted == pytest.approx(PRIOR.side_weight * 0.5 * 1.7 / 1.5**2 * 0.4**2, rel=0.1)
    assert burden.in_lane == burden.nearest == 0


def test_contacts_are_the_lowest_pixels():
    t = np.array([-0.5, 0.0, 0.5, 1.0])
    mask = np.array([[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 0, 0]], bool)
    assert C.find_contacts(mask, t).tolist() == [0, 0, 0.5, 0]


def test_a_part_halves_at_its_half():
    assert C.fade(0, 0.2) == 1
    assert C.fade(0.2, 0.2) == 0.5
    assert C.fade(0.6, 0.2) == pytest.approx(0.25)


def test_rows_count_alike_near_and_far():
    region = np.array([[0, 1, 1, 0], [1, 1, 1, 1]], bool)
    wanted = np.array([[0, 1, 0, 0], [1, 1, 1, 1]], bool)
    valid = np.ones_like(region)
    assert C.share_by_row(wanted, region, valid) == (1 / 2 + 1) / 2
    valid[1, :3] = False
    assert C.share_by_row(wanted, region, valid) == pytest.approx((1 / 2 + 1 / 4) / (1 + 1 / 4))
    assert C.share_by_row(wanted, region, ~region) is None


def test_what_stands_near_cuts_off_what_lies_behind():
    lane = np.ones((4, 2), bool)
    blocked = np.array([[0, 0], [1, 0], [0, 0], [0, 0]], bool)
    assert C.measure_blocking(blocked, lane) == (0.5 + 0.5) / 4
    blocked[3] = True
    assert C.measure_blocking(blocked, lane) == 1
    assert C.measure_blocking(np.zeros_like(lane), lane) == 0
