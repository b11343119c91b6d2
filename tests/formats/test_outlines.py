"""Polygons of masks: they cover exactly the mask, whatever its shape."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmstreet.formats.outlines import trace_centres, trace_outline, trace_polygons


def fill(polygons, size_hw):
    """Fill a pixel when a ray from its centre to the right crosses a polygon an odd number of times."""
    filled = np.zeros(size_hw, bool)
    for polygon in polygons:
        for y, x in np.ndindex(*size_hw):
            crossings = 0
            for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]]):
                crossings += x0 == x1 and x0 > x + 0.5 and min(y0, y1) < y + 0.5 < max(y0, y1)
            filled[y, x] |= crossings % 2 == 1
    return filled


def area(polygon):
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]])) / 2


def test_one_pixel_is_the_unit_square():
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = True
    (polygon,) = trace_polygons(mask)
    assert sorted(polygon) == [(2, 1), (2, 2), (3, 1), (3, 2)]


def test_straight_edges_keep_only_their_corners():
    (polygon,) = trace_polygons(np.ones((3, 5), bool))
    assert sorted(polygon) == [(0, 0), (0, 3), (5, 0), (5, 3)]


def test_a_ring_is_cut_into_parts_without_its_hole():
    mask = np.ones((5, 5), bool)
    mask[1:4, 1:4] = False
    polygons = trace_polygons(mask)
    assert sum(area(polygon) for polygon in polygons) == 16
    np.testing.assert_array_equal(fill(polygons, mask.shape), mask)


def test_pixels_that_touch_at_a_corner_are_apart():
    assert len(trace_polygons(np.eye(3, dtype=bool))) == 3


def test_an_empty_mask_has_no_polygon():
    assert trace_polygons(np.zeros((2, 2), bool)) == []


@pytest.mark.parametrize("density", [0.2, 0.5, 0.8])
def test_random_masks_are_covered_exactly_and_once(density):
    rng = np.random.default_rng(int(10 * density))
    for _ in range(20):
        mask = rng.random((7, 9)) < density
        polygons = trace_polygons(mask)
        np.testing.assert_array_equal(fill(polygons, mask.shape), mask)
        assert sum(area(polygon) for polygon in polygons) == mask.sum()


def masks(density, number=25):
    rng = np.random.default_rng(int(10 * density))
    return [rng.random((7, 9)) < density for _ in range(number)]


@pytest.mark.parametrize("density", [0.1, 0.5, 0.8])
def test_one_polygon_encloses_holes_and_parts_for_pycocotools(density):
    coding = pytest.importorskip("pycocotools.mask")
    for mask in masks(density):
        outline, *_ = trace_outline(mask)
        if mask.any():
            flat = [float(value) for point in outline for value in point]
            np.testing.assert_array_equal(coding.decode(coding.frPyObjects([flat], *mask.shape))[..., 0], mask)


@pytest.mark.parametrize("density", [0.5, 0.8])
def test_one_polygon_is_filled_by_opencv_without_a_pixel_more(density):
    for mask in masks(density):
        part = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)[1] == 1
        if part.any():
            outline, *_ = trace_outline(part)
            filled = np.zeros(mask.shape, np.uint8)
            cv2.fillPoly(filled, [np.array(outline).astype(np.int32)], 1)
            np.testing.assert_array_equal(filled, part)


def test_holes_and_parts_are_counted():
    mask = np.zeros((7, 12), bool)
    mask[:, :7] = mask[2:4, 9:] = True
    mask[1:3, 1:3] = mask[4, 4] = False
    assert trace_outline(mask)[1:] == (2, 2)
    assert trace_outline(np.zeros((2, 2), bool)) == ([], 0, 0)
    assert sorted(trace_outline(np.ones((1, 1), bool))[0]) == [(0.25, 0.25), (0.25, 0.75), (0.75, 0.25), (0.75, 0.75)]


@pytest.mark.parametrize("density", [0.1, 0.5, 0.8])
def test_polygons_through_centres_are_drawn_by_pillow_as_the_mask(density):
    for mask in masks(density):
        canvas = Image.new("L", mask.shape[::-1])
        for polygon in trace_centres(mask):
            assert len(polygon) >= 3
            ImageDraw.Draw(canvas).polygon(polygon, fill=1)
        np.testing.assert_array_equal(np.asarray(canvas), mask)
