"""Regions are found with the right size and order, and their points lie inside."""

import numpy as np
import pytest
from skimage.measure import label as skimage_label
from skimage.measure import regionprops

from mmstreet.refine.components import (
    Component,
    components_of_detections,
    cut,
    depth,
    find_components,
    grow_box,
    grow_window,
    inner_point,
    nearest_other,
)
from mmstreet.refine.proposals import Detections

C_SHAPE = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]], bool)


def test_regions_are_those_of_scikit_image():
    labels = np.random.default_rng(0).integers(0, 3, (30, 40)).astype(np.uint8)
    labels[5:9, 5:30] = 1
    found = find_components(labels, [0, 1], min_area_px=4)
    expected = [(region, c) for c in (0, 1) for region in regionprops(skimage_label(labels == c, connectivity=2)) if region.area >= 4]
    boxes = sorted((c, region.bbox[1], region.bbox[0], region.bbox[3], region.bbox[2], int(region.area)) for region, c in expected)
    assert sorted((c.class_id, *c.box_xyxy, c.area_px) for c in found) == boxes
    for component in found:
        assert (labels[component.window][component.crop] == component.class_id).all()


def test_regions_come_largest_first_and_the_limit_keeps_the_largest():
    labels = np.zeros((4, 12), np.uint8)
    labels[0, 0], labels[0, 2:4], labels[2:4, 6:8], labels[2, 0:2] = 1, 1, 2, 2
    assert [(c.area_px, c.class_id) for c in find_components(labels, [2, 1], min_area_px=1)] == [(4, 2), (2, 1), (2, 2), (1, 1)]
    assert [c.area_px for c in find_components(labels, [1, 2], min_area_px=1, limit=2)] == [4, 2]
    assert [c.area_px for c in find_components(labels, [1, 2], min_area_px=2)] == [4, 2, 2]


def test_hundreds_of_regions_of_one_pixel():
    labels = np.zeros((40, 60), np.uint8)
    labels[::2, ::2] = 1
    found = find_components(labels, [1], min_area_px=1, limit=1000)
    assert len(found) == 600
    assert {c.area_px for c in found} == {1}
    assert [(c.box_xyxy[1], c.box_xyxy[0]) for c in found] == sorted((c.box_xyxy[1], c.box_xyxy[0]) for c in found)
    assert find_components(labels, [1]) == []


def test_the_inner_point_of_a_c_lies_inside_where_its_centroid_does_not():
    y, x = (axis.mean() for axis in np.nonzero(C_SHAPE))
    assert not C_SHAPE[round(y), round(x)]
    x, y = inner_point(C_SHAPE)
    assert C_SHAPE[y, x]
    assert inner_point(np.ones((1, 1), bool)) == (0, 0)
    assert inner_point(np.ones((5, 7), bool)) == (2, 2)


def test_depth_is_the_distance_to_the_nearest_pixel_outside():
    crop = np.random.default_rng(1).random((7, 9)) < 0.8
    outside = [(i, j) for i in range(-1, 8) for j in range(-1, 10) if not (0 <= i < 7 and 0 <= j < 9 and crop[i, j])]
    expected = [[min(((i - a) ** 2 + (j - b) ** 2) ** 0.5 for a, b in outside) for j in range(9)] for i in range(7)]
    np.testing.assert_allclose(depth(crop), expected)


def test_boxes_grow_by_a_share_and_stay_in_the_image():
    assert grow_box((10, 20, 30, 60), (100, 200), by=0.05) == pytest.approx((9, 18, 31, 62))
    assert grow_box((0, 0, 200, 100), (100, 200), by=0.05) == (0, 0, 200, 100)
    assert grow_window((10, 20, 30, 60), (100, 200), by=0.1) == (slice(16, 64), slice(8, 32))
    assert grow_window((10, 20, 11, 21), (100, 200), by=0.05) == (slice(19, 22), slice(9, 12))  # at least one pixel
    assert grow_window((0, 0, 1, 1), (1, 1), by=0.05) == (slice(0, 1), slice(0, 1))


def test_cutting_a_crop_to_a_window_equals_slicing_the_full_map():
    rng = np.random.default_rng(2)
    full = np.zeros((12, 15), np.int64)
    full[3:9, 4:11] = rng.integers(1, 9, (6, 7))
    for _ in range(40):
        y1, y2 = np.sort(rng.integers(0, 13, 2))
        x1, x2 = np.sort(rng.integers(0, 16, 2))
        window = (slice(int(y1), int(y2)), slice(int(x1), int(x2)))
        np.testing.assert_array_equal(cut(full[3:9, 4:11], (4, 3, 11, 9), window), full[window])


def test_the_nearest_other_class_passes_over_void():
    labels = np.array([[4, 255, 1, 1, 1, 7]], np.uint8)
    region = Component(1, (2, 0, 5, 1), np.ones((1, 3), bool))
    assert nearest_other(labels, region, (slice(0, 1), slice(0, 6)))[0, 2:5].tolist() == [4, 7, 7]
    assert nearest_other(labels, region, (slice(0, 1), slice(1, 5))) is None


def test_a_detection_selects_its_class_inside_its_box_clipped_to_the_image():
    labels = np.array([[1, 1, 0, 2], [1, 0, 0, 2]], np.uint8)
    boxes = np.array([[-3.0, -1.0, 1.2, 9.0], [2.0, 0.0, 4.0, 2.0], [50.0, 50.0, 60.0, 60.0]], np.float32)
    found = components_of_detections(labels, Detections(boxes, np.array([1, 1, 2]), np.ones(3, np.float32)))
    assert [(c.class_id, c.area_px) for c in found] == [(1, 3), (1, 0), (2, 0)]
    assert found[0].box_xyxy == (0, 0, 2, 2)
