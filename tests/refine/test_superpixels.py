"""Superpixels cover the image once, follow colour edges, and exist for any image."""

import numpy as np
import pytest

from mmstreet.refine.superpixels import SuperpixelMasks

pytest.importorskip("skimage")


@pytest.mark.parametrize("size_hw", [(40, 60), (1, 1), (1, 9), (3, 2)])
def test_superpixels_cover_every_pixel_once(size_hw):
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    masks = SuperpixelMasks(area_px=30).propose(image)
    covered = np.zeros(size_hw, int)
    for window, crop in zip(masks.windows, masks.crops):
        covered[window] += crop
    assert (covered == 1).all()
    assert masks.size_hw == size_hw
    assert (masks.areas > 0).all()


def test_superpixels_follow_an_edge():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 31:] = (200, 60, 60)
    masks = SuperpixelMasks(area_px=40, compactness=10.0, sigma_px=0.0).propose(image)
    assert 20 < len(masks) < 120
    for window, crop in zip(masks.windows, masks.crops):
        assert len(np.unique(image[window][crop], axis=0)) == 1


def test_an_area_below_one_pixel_is_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        SuperpixelMasks(area_px=0)
