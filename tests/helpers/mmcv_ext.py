"""Stands in for mmcv's compiled ops as ``mmcv/_ext.py`` where only tests run: NMS and RoIAlign of torch alone; any other op refuses.

MMSegmentation 1.2 and MMDetection 3.3 import every op of mmcv, so without compiled ones not even their segmentors can be tested.
``tools/setup_env.sh openmmlab-light`` copies this file; it imports nothing of this package.
"""

import math

import torch
import torch.nn.functional as F


def nms(boxes, scores, iou_threshold, offset=0):
    """Return the indices of the boxes that no better one covers, best first."""
    left, order = scores.argsort(descending=True, stable=True), []
    areas = (boxes[:, 2:] - boxes[:, :2] + offset).prod(1)
    while len(left):
        best, left = left[0], left[1:]
        order.append(best)
        shared = torch.min(boxes[best, 2:], boxes[left, 2:]) - torch.max(boxes[best, :2], boxes[left, :2]) + offset
        shared = shared.clamp(min=0).prod(1)
        left = left[shared <= iou_threshold * (areas[best] + areas[left] - shared)]
    return torch.stack(order) if order else boxes.new_zeros(0, dtype=torch.long)


def roi_align_forward(
    images, rois, output, argmax_y, argmax_x, aligned_height, aligned_width, spatial_scale, sampling_ratio, pool_mode, aligned
):
    """Write the mean of bilinear samples in each cell of each region into ``output``."""
    output.copy_(_align(images, rois, (aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned))


def roi_align_backward(
    grad, rois, argmax_y, argmax_x, grad_images, aligned_height, aligned_width, spatial_scale, sampling_ratio, pool_mode, aligned
):
    """Write the gradient of the maps into ``grad_images``; the op is linear in them."""
    with torch.enable_grad():
        images = torch.zeros_like(grad_images).requires_grad_()
        output = _align(images, rois, (aligned_height, aligned_width), spatial_scale, sampling_ratio, aligned)
        if output.numel():
            grad_images.copy_(torch.autograd.grad(output, images, grad)[0])


def _align(images, rois, size_hw, scale, ratio, aligned):
    rows = [images.new_zeros((0, images.shape[1], *size_hw))]
    for index, *corners in rois.tolist():
        x1, y1, x2, y2 = (corner * scale - 0.5 * aligned for corner in corners)
        axes = []
        for start, length, cells, side in ((y1, y2 - y1, size_hw[0], images.shape[2]), (x1, x2 - x1, size_hw[1], images.shape[3])):
            length = length if aligned else max(length, 1.0)
            samples = ratio or max(1, math.ceil(length / cells))
            at = start + (torch.arange(cells * samples) + 0.5) * length / (cells * samples)
            axes.append((samples, at, (at >= -1) & (at <= side), 2 * at / max(side - 1, 1) - 1))
        (high, _, inside_y, ys), (wide, _, inside_x, xs) = axes
        grid = torch.stack(torch.meshgrid(ys, xs, indexing="ij")[::-1], dim=2)[None].to(images)
        found = F.grid_sample(images[int(index)][None], grid, padding_mode="border", align_corners=True)
        rows.append(F.avg_pool2d(found * torch.outer(inside_y, inside_x).to(images), (high, wide)))
    return torch.cat(rows)


def get_compiler_version():
    """Say that nothing was compiled."""
    return "n/a"


get_compiling_cuda_version = get_compiler_version


def __getattr__(name):
    if name.startswith(("__", "pytest")):  # the interpreter and pytest ask every module for some
        raise AttributeError(name)

    def refuse(*args, **settings):
        raise RuntimeError(f"mmcv's op {name} is not compiled here, and the tests' stand-in does not have it")

    return refuse
