"""The pieces of automatic mask generation."""

import numpy as np
import pytest

from mmstreet.refine.automatic import crop_boxes, point_grid, stability, touches_inner_edge


@pytest.mark.parametrize("size_hw", [(1024, 2048), (720, 1280), (480, 360)])
def test_the_grid_covers_the_whole_image(size_hw):
    points = point_grid(size_hw, 32)
    assert points.shape == (1024, 2)
    for axis, length in enumerate(size_hw[::-1]):
        assert points[:, axis].min() < 0.05 * length
        assert points[:, axis].max() > 0.95 * length
        np.testing.assert_allclose(np.diff(np.unique(points[:, axis])), length / 32)


def test_stability_counts_the_pixels_between_the_thresholds():
    logits = np.array([[[2.0, 2.0, 0.5, -0.5]], [[3.0, -3.0, -3.0, -3.0]], [[-9.0, -9.0, -9.0, -9.0]]])
    assert stability(logits).tolist() == [0.5, 1, 0]


def test_crops_overlap_and_cover():
    boxes = crop_boxes((600, 900), layers=1)
    assert boxes[0] == (0, 0, 900, 600)
    assert len(boxes) == 5
    covered = np.zeros((600, 900), int)
    for x1, y1, x2, y2 in boxes[1:]:
        covered[y1:y2, x1:x2] += 1
    assert covered.min() == 1
    assert covered.max() == 4
    assert crop_boxes((600, 900), layers=0) == boxes[:1]


def test_a_mask_at_the_edge_of_a_crop_inside_the_image_was_cut_off():
    crop, size_hw = (0, 0, 500, 300), (600, 900)
    assert touches_inner_edge((300, 100, 490, 200), crop, size_hw)
    assert not touches_inner_edge((0, 0, 200, 200), crop, size_hw)  # the edge of the image
    assert not touches_inner_edge((100, 100, 400, 200), crop, size_hw)
