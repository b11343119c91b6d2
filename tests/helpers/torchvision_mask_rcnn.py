"""Torchvision's Mask R-CNN R50-FPN, stated again in plain torch with its names: the other side of the conversion tests.

Layers and their order follow ``torchvision/models/detection``; the parameter count is checked against the one that torchvision publishes.
"""

from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

from tests.helpers.torchvision_models import ResNet


class MaskRCNN(nn.Module):
    """All layers that hold weights. ``published`` has the names of the published file, without it those of a model of today."""

    def __init__(self, *, published=True, num_classes=91):
        super().__init__()

        def conv(cin, cout, kernel, depth):
            layer = nn.Conv2d(cin, cout, kernel, padding=kernel // 2)
            for _ in range(0 if published else depth):
                layer = nn.Sequential(layer)
            return layer

        body = ResNet(50, num_classes=0)
        fpn = nn.Module()
        fpn.inner_blocks = nn.ModuleList(conv(256 * 2**i, 256, 1, 1) for i in range(4))
        fpn.layer_blocks = nn.ModuleList(conv(256, 256, 3, 1) for _ in range(4))
        self.backbone = nn.Module()
        self.backbone.body, self.backbone.fpn = body, fpn
        self.rpn = nn.Module()
        self.rpn.head = nn.Module()
        self.rpn.head.conv = conv(256, 256, 3, 2)
        self.rpn.head.cls_logits, self.rpn.head.bbox_pred = nn.Conv2d(256, 3, 1), nn.Conv2d(256, 12, 1)
        roi = self.roi_heads = nn.Module()
        roi.box_head = nn.Module()
        roi.box_head.fc6, roi.box_head.fc7 = nn.Linear(256 * 49, 1024), nn.Linear(1024, 1024)
        roi.box_predictor = nn.Module()
        roi.box_predictor.cls_score = nn.Linear(1024, num_classes)
        roi.box_predictor.bbox_pred = nn.Linear(1024, 4 * num_classes)
        roi.mask_head = nn.Sequential(OrderedDict((f"mask_fcn{i + 1}" if published else str(i), conv(256, 256, 3, 1)) for i in range(4)))
        roi.mask_predictor = nn.Module()
        roi.mask_predictor.conv5_mask = nn.ConvTranspose2d(256, 256, 2, 2)
        roi.mask_predictor.mask_fcn_logits = nn.Conv2d(256, num_classes, 1)

    def state_dict(self, *args, **kwargs):
        """Frozen batch norm counts no batches."""
        return {key: tensor for key, tensor in super().state_dict(*args, **kwargs).items() if not key.endswith("num_batches_tracked")}

    def pyramid(self, images):
        """Return the five levels of features."""
        body, x = self.backbone.body, images
        x = F.max_pool2d(F.relu(body.bn1(body.conv1(x))), 3, 2, 1)
        stages = []
        for number in range(1, 5):
            x = getattr(body, f"layer{number}")(x)
            stages.append(x)
        merged, levels = None, []
        for inner, layer, stage in reversed(list(zip(self.backbone.fpn.inner_blocks, self.backbone.fpn.layer_blocks, stages))):
            lateral = inner(stage)
            merged = lateral if merged is None else lateral + F.interpolate(merged, size=lateral.shape[2:], mode="nearest")
            levels.insert(0, layer(merged))
        return [*levels, F.max_pool2d(levels[-1], 1, 2)]

    def propose(self, level):
        """Return objectness and box deltas of a level, ``[B, 3, H, W]`` and ``[B, 12, H, W]``."""
        hidden = F.relu(self.rpn.head.conv(level))
        return self.rpn.head.cls_logits(hidden), self.rpn.head.bbox_pred(hidden)

    def classify(self, regions):
        """Return scores ``[N, 91]`` and box deltas ``[N, 364]`` of regions ``[N, 256, 7, 7]``."""
        box = self.roi_heads.box_head
        hidden = F.relu(box.fc7(F.relu(box.fc6(regions.flatten(1)))))
        return self.roi_heads.box_predictor.cls_score(hidden), self.roi_heads.box_predictor.bbox_pred(hidden)

    def segment(self, regions):
        """Return mask logits ``[N, 91, 28, 28]`` of regions ``[N, 256, 14, 14]``."""
        for layer in self.roi_heads.mask_head:
            regions = torch.relu(layer(regions))
        predictor = self.roi_heads.mask_predictor
        return predictor.mask_fcn_logits(F.relu(predictor.conv5_mask(regions)))
