"""Letterbox: one canvas, boxes around their masks, nothing lost."""

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks

HW = (90, 160)


def build(**settings):
    return TRANSFORMS.build(dict(type="mmstreet.Letterbox", **settings))


def sample(hw=HW, *, boxes=None, rectangles=((10, 20, 50, 60), (100, 5, 160, 90))):
    """Rectangles (x1, y1, x2, y2) as masks; boxes may lie beside them, as after a rotation."""
    masks = np.zeros((len(rectangles), *hw), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, rectangles):
        mask[y1:y2, x1:x2] = 1
    return dict(
        img=np.full((*hw, 3), 200, np.uint8),
        gt_bboxes=HorizontalBoxes(torch.tensor(boxes or rectangles, dtype=torch.float32).reshape(-1, 4)),
        gt_bboxes_labels=np.arange(len(rectangles)),
        gt_ignore_flags=np.zeros(len(rectangles), bool),
        gt_masks=BitmapMasks(masks, *hw),
        ori_shape=hw,
    )


@pytest.mark.parametrize(("hw", "inner"), [((90, 160), (144, 256)), ((160, 90), (256, 144)), ((100, 100), (256, 256))])
def test_the_image_fits_the_canvas_and_keeps_its_aspect_ratio(hw, inner):
    results = build(size_hw=(256, 256))(dict(img=np.full((*hw, 3), 200, np.uint8)))
    assert results["img"].shape == (256, 256, 3)
    assert results["img_shape"] == inner
    assert results["pad_shape"] == (256, 256)
    seen = (results["img"] == 200).all(-1)
    assert seen[: inner[0], : inner[1]].all()
    assert seen.sum() == inner[0] * inner[1]
    assert (results["img"][~seen] == 0).all()
    assert results["scale_factor"] == (inner[1] / hw[1], inner[0] / hw[0])


def test_boxes_are_those_around_the_masks_on_the_canvas():
    loose = ((0, 0, 90, 90), (80, 0, 160, 90))
    results = build(size_hw=(180, 320))(sample(boxes=loose))
    assert results["gt_bboxes"].tensor.tolist() == [[20, 40, 100, 120], [200, 10, 320, 180]]
    for box, mask in zip(results["gt_bboxes"].tensor.int().tolist(), results["gt_masks"].masks):
        rows, columns = np.nonzero(mask)
        assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert results["gt_masks"].masks.shape == (2, 180, 320)


def test_an_instance_that_vanishes_is_ignored_and_keeps_its_box():
    tiny = sample(rectangles=((10, 20, 50, 60), (81, 41, 82, 42)))
    results = build(size_hw=(9, 16))(tiny)
    assert results["gt_ignore_flags"].tolist() == [False, True]
    assert len(results["gt_bboxes"]) == len(results["gt_masks"]) == 2
    torch.testing.assert_close(results["gt_bboxes"].tensor[1], torch.tensor([8.1, 4.1, 8.2, 4.2]))


def test_ignored_instances_stay_ignored():
    given = sample()
    given["gt_ignore_flags"][0] = True
    assert build(size_hw=(64, 64))(given)["gt_ignore_flags"].tolist() == [True, False]


def test_an_image_without_instances_passes():
    results = build(size_hw=(64, 64))(sample(rectangles=()))
    assert results["gt_bboxes"].tensor.shape == (0, 4)
    assert results["gt_masks"].masks.shape == (0, 64, 64)


def test_predicted_boxes_go_back_by_the_scale_factor_alone():
    original = (13, 7, 120, 80)
    results = build(size_hw=(1024, 1024))(sample(rectangles=(original,)))
    back = results["gt_bboxes"].tensor[0] / torch.tensor(results["scale_factor"]).repeat(2)
    torch.testing.assert_close(back, torch.tensor(original, dtype=torch.float32), atol=0.5, rtol=0)


@pytest.mark.parametrize("size_hw", [(0, 64), (64,), (64, -1)])
def test_a_canvas_without_area_is_refused(size_hw):
    with pytest.raises(ValueError, match="size_hw must be"):
        build(size_hw=size_hw)
