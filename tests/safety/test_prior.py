"""The lane lies where a pinhole camera over a flat road sees it."""

import numpy as np
import pytest

from mmstreet.safety.prior import LanePrior, lay_grid


def project(side_m, ahead_m, *, focal_px, camera_height_m, height, width, horizon):
    """A pinhole camera, the obvious way: pixels of a point on the road."""
    return width / 2 + focal_px * side_m / ahead_m, horizon * height + focal_px * camera_height_m / ahead_m


@pytest.mark.parametrize("focal_px", [400, 1100])
@pytest.mark.parametrize(("side_m", "offset"), [(0, 0), (1.5, 1), (-3, 2)])
def test_offset_is_that_of_a_pinhole_camera_whatever_its_focal_length(focal_px, side_m, offset):
    prior = LanePrior(horizon=0.4, lane_width_m=3.0, camera_height_m=1.3)
    x, y = project(side_m, 20.0, focal_px=focal_px, camera_height_m=1.3, height=720, width=1280, horizon=0.4)
    t = prior.nearness(y / 720)
    assert prior.offset(x / 1280 - 0.5, t, aspect=1280 / 720) == pytest.approx(offset, abs=1e-9)


def test_nearness_is_the_inverse_of_distance():
    prior = LanePrior()
    rows = [project(0, ahead, focal_px=900, camera_height_m=1.5, height=720, width=1280, horizon=0.45)[1] for ahead in (10.0, 20.0)]
    near, far = prior.nearness(np.array(rows) / 720)
    assert near == pytest.approx(2 * far)
    assert prior.nearness(1.0) == 1
    assert prior.nearness(0.45) == 0


def test_an_object_weighs_more_in_the_lane_and_never_less_when_nearer():
    prior = LanePrior()
    weights = prior.object_weight(np.linspace(-0.5, 0.5, 41), np.linspace(-0.5, 1, 61)[:, None], aspect=16 / 9)
    assert (np.diff(weights, axis=0) >= 0).all()
    assert weights.min() == prior.side_weight
    assert weights[-1, 20] == 1
    near = prior.object_weight(0.0, np.array([0.0, 0.1, 0.2]), aspect=16 / 9)
    assert near == pytest.approx([0.05, (0.05 + 1) / 2, 1]), "fades with distance"


@pytest.mark.parametrize("shape", [(720, 1280), (721, 1279), (36, 64), (1, 1), (360, 480), (512, 1024), (90, 30)])
def test_samples_of_a_mirrored_map_are_mirrored(shape):
    grid = lay_grid(LanePrior(), *shape)
    ids = np.arange(shape[0] * shape[1]).reshape(shape)
    assert np.array_equal(grid.sample(ids[:, ::-1]), grid.sample(ids)[:, ::-1])
    for region in (grid.lane, grid.carriageway, grid.borders):
        assert np.array_equal(region, region[:, ::-1])
        assert region.any()


def test_a_bonnet_is_cut_off():
    grid = lay_grid(LanePrior(bottom=0.9), 100, 200)
    assert grid.rows.max() == 89
    assert grid.t.max() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    "settings", [{"horizon": 1.0}, {"bottom": 1.2}, {"far": 0.0}, {"side_weight": 2}, {"lane_width_m": 0}, {"center": -0.1}]
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        LanePrior(**settings)
