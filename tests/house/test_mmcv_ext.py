"""What stands in for mmcv's compiled ops in tests gives what they give."""

from types import SimpleNamespace

import pytest
import torch

from tests.helpers import mmcv_ext

compiled = pytest.importorskip("mmcv._ext", reason="needs mmcv's compiled ops: make instances")
if compiled.get_compiler_version() == "n/a":
    pytest.skip("mmcv's ops are the stand-in itself", allow_module_level=True)

rng = torch.Generator().manual_seed(0)


def random_boxes(count, side):
    corners = torch.rand(count, 2, generator=rng) * side - side / 8
    return torch.cat([corners, corners + torch.rand(count, 2, generator=rng) * side / 2 + 1], dim=1)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("count", [0, 1, 80])
def test_nms_keeps_the_same_boxes_in_the_same_order(offset, count):
    boxes, scores = random_boxes(count, 60), torch.rand(count, generator=rng)
    kept = compiled.nms(boxes, scores, iou_threshold=0.4, offset=offset).tolist()
    assert mmcv_ext.nms(boxes, scores, iou_threshold=0.4, offset=offset).tolist() == kept
    assert count < 2 or len(kept) < count


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize("count", [0, 12])
def test_regions_and_their_gradient_are_the_same(aligned, ratio, count):
    images = torch.randn(2, 3, 17, 23, generator=rng)
    rois = torch.cat([torch.randint(2, (count, 1), generator=rng).float(), random_boxes(count, 180)], dim=1)
    grad = torch.randn(count, 3, 7, 5, generator=rng)
    settings = dict(aligned_height=7, aligned_width=5, spatial_scale=0.125, sampling_ratio=ratio, pool_mode=1, aligned=aligned)
    found = {}
    for name, ops in (("compiled", compiled), ("plain", mmcv_ext)):
        made = SimpleNamespace(output=torch.zeros_like(grad), grad=torch.zeros_like(images))
        ops.roi_align_forward(images, rois, made.output, torch.zeros(0), torch.zeros(0), **settings)
        ops.roi_align_backward(grad, rois, torch.zeros(0), torch.zeros(0), made.grad, **settings)
        found[name] = made
    torch.testing.assert_close(found["plain"].output, found["compiled"].output, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found["plain"].grad, found["compiled"].grad, rtol=1e-4, atol=1e-4)


def test_another_op_refuses():
    with pytest.raises(RuntimeError, match="op deform_conv_forward is not compiled here"):
        mmcv_ext.deform_conv_forward(1)
    assert not hasattr(mmcv_ext, "__wrapped__")
