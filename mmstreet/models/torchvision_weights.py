"""From torchvision's parameter names to ours: renaming and reshaping, no framework needed.

A :class:`Layout` describes one shape of published checkpoint: how to recognise it, and an ordered list of rules that together name every
tensor. Nothing is guessed: a tensor that no rule names is an error. A new model is one more layout in :data:`LAYOUTS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from mmstreet.models.coco_classes import UNUSED_IDS, boxes_to_mmdet, masks_to_mmdet, scores_to_mmdet

_URL = "https://download.pytorch.org/models/"
PUBLISHED = {
    "deeplabv3_resnet50": _URL + "deeplabv3_resnet50_coco-cd0a2569.pth",
    "fcn_resnet50": _URL + "fcn_resnet50_coco-1167a1af.pth",
    "maskrcnn_resnet50_fpn": _URL + "maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
    "resnet101": _URL + "resnet101-63fe2227.pth",
    "resnet50": _URL + "resnet50-0676ba61.pth",
    "resnet18": _URL + "resnet18-f37072fd.pth",
    "vgg16": _URL + "vgg16-397923af.pth",
    "vgg16_bn": _URL + "vgg16_bn-6c64b313.pth",
}
"""Where torchvision publishes the weights, by its model name. The file name ends with the first eight hex digits of the file's SHA-256."""


@dataclass(frozen=True)
class Layout:
    """One shape of published checkpoint.

    Attributes:
        name: What a message calls it.
        marker: Tensors that this layout has and the layouts after it in :data:`LAYOUTS` lack.
        rules: Regular expressions for the beginning of a name, each with its replacement; None drops the tensor. The first match counts.
        shapes: Shape that a tensor takes under our name, where it differs: a layer on vectors that became a convolution.
        reorder: What to do with the rows of a tensor under our name, where its classes are numbered in another way.
        left_out: What ``reorder`` has no place for, in words.
    """

    name: str
    marker: tuple[str, ...]
    rules: tuple[tuple[str, str | None], ...]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reorder: Mapping[str, Callable[[Tensor], Tensor]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


_ROI = "roi_head."
_RESNET = r"(conv1|bn1|layer[1-4])\."


def _fcn_rules(theirs: str, ours: str) -> tuple[tuple[str, str], ...]:
    """Name the layers of torchvision's ``FCNHead``: convolution 0, norm 1, classifier 4."""
    return ((rf"{theirs}\.0\.", f"{ours}.conv.conv."), (rf"{theirs}\.1\.", f"{ours}.conv.bn."), (rf"{theirs}\.4\.", f"{ours}.conv_seg."))


_SEGMENTATION = ((rf"backbone\.{_RESNET}", r"backbone.\1."), *_fcn_rules("aux_classifier", "auxiliary_head"))

LAYOUTS = (
    Layout(
        name="DeepLabV3",
        marker=("backbone.conv1.weight", "classifier.0.convs.0.0.weight"),
        rules=(
            *_SEGMENTATION,
            (r"classifier\.0\.convs\.4\.1\.", "decode_head.image_pool.conv."),
            (r"classifier\.0\.convs\.4\.2\.", "decode_head.image_pool.bn."),
            (r"classifier\.0\.convs\.([0-3])\.0\.", r"decode_head.branches.\1.conv."),
            (r"classifier\.0\.convs\.([0-3])\.1\.", r"decode_head.branches.\1.bn."),
            (r"classifier\.0\.project\.0\.", "decode_head.project.conv."),
            (r"classifier\.0\.project\.1\.", "decode_head.project.bn."),
            (r"classifier\.1\.", "decode_head.bottleneck.conv."),
            (r"classifier\.2\.", "decode_head.bottleneck.bn."),
            (r"classifier\.4\.", "decode_head.conv_seg."),
        ),
    ),
    Layout(
        name="FCN",
        marker=("backbone.conv1.weight", "classifier.0.weight"),
        rules=(*_SEGMENTATION, *_fcn_rules("classifier", "decode_head")),
    ),
    Layout(
        name="ImageNet ResNet",
        marker=("conv1.weight", "layer1.0.conv1.weight", "fc.weight"),
        rules=((_RESNET, r"backbone.\1."), (r"fc\.", None)),
    ),
    Layout(
        name="ImageNet VGG16",
        marker=("features.0.weight", "classifier.0.weight", "classifier.6.weight"),
        rules=(
            (r"features\.", "backbone.features."),
            (r"classifier\.0\.", "backbone.conv6.0."),
            (r"classifier\.3\.", "backbone.conv7.0."),
            (r"classifier\.6\.", None),
        ),
        shapes={"backbone.conv6.0.weight": (4096, 512, 7, 7), "backbone.conv7.0.weight": (4096, 4096, 1, 1)},
    ),
    Layout(
        name="Mask R-CNN",
        marker=("backbone.body.conv1.weight", "roi_heads.mask_predictor.mask_fcn_logits.weight"),
        # The published file has the names of its time; a model saved today has a convolution one level deeper.
        rules=(
            (rf"backbone\.body\.{_RESNET}", r"backbone.\1."),
            (r"backbone\.fpn\.inner_blocks\.(\d)\.(?:0\.)?", r"neck.lateral_convs.\1.conv."),
            (r"backbone\.fpn\.layer_blocks\.(\d)\.(?:0\.)?", r"neck.fpn_convs.\1.conv."),
            (r"rpn\.head\.conv\.(?:0\.0\.)?", "rpn_head.rpn_conv."),
            (r"rpn\.head\.cls_logits\.", "rpn_head.rpn_cls."),
            (r"rpn\.head\.bbox_pred\.", "rpn_head.rpn_reg."),
            (r"roi_heads\.box_head\.fc6\.", f"{_ROI}bbox_head.shared_fcs.0."),
            (r"roi_heads\.box_head\.fc7\.", f"{_ROI}bbox_head.shared_fcs.1."),
            (r"roi_heads\.box_predictor\.cls_score\.", f"{_ROI}bbox_head.fc_cls."),
            (r"roi_heads\.box_predictor\.bbox_pred\.", f"{_ROI}bbox_head.fc_reg."),
            *((rf"roi_heads\.mask_head\.mask_fcn{i + 1}\.", f"{_ROI}mask_head.convs.{i}.conv.") for i in range(4)),
            (r"roi_heads\.mask_head\.([0-3])\.0\.", rf"{_ROI}mask_head.convs.\1.conv."),
            (r"roi_heads\.mask_predictor\.conv5_mask\.", f"{_ROI}mask_head.upsample."),
            (r"roi_heads\.mask_predictor\.mask_fcn_logits\.", f"{_ROI}mask_head.conv_logits."),
        ),
        reorder={
            f"{_ROI}{layer}.{kind}": function
            for layer, function in (
                ("bbox_head.fc_cls", scores_to_mmdet),
                ("bbox_head.fc_reg", boxes_to_mmdet),
                ("mask_head.conv_logits", masks_to_mmdet),
            )
            for kind in ("weight", "bias")
        },
        left_out=(
            f"classifier, box regressor and mask predictor: the outputs of COCO's unused ids {', '.join(map(str, UNUSED_IDS))}",
            "box regressor and mask predictor: the output of the background",
        ),
    ),
)


def find_layout(state_dict: Mapping[str, Tensor]) -> Layout | None:
    """Recognise a published layout by its tensor names; None for anything else, our own checkpoints included."""
    return next((layout for layout in LAYOUTS if all(key in state_dict for key in layout.marker)), None)


def rename_tensors(state_dict: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """Give every tensor our name for it.

    Args:
        state_dict: Torchvision's names and tensors.
        layout: Its layout, see :func:`find_layout`.

    Returns:
        Our names with the same tensors, some in another shape or with their rows in another order, without the dropped ones.

    Raises:
        ValueError: If no rule names a tensor, or two tensors would get one name.
    """
    renamed: dict[str, Tensor] = {}
    for key, tensor in state_dict.items():
        pattern, replacement = next(((p, r) for p, r in layout.rules if re.match(p, key)), (None, None))
        if pattern is None:
            raise ValueError(f"tensor '{key}' belongs to no layer of torchvision's {layout.name}; the checkpoint is not a published one")
        if replacement is None:
            continue
        name = re.sub(rf"^(?:{pattern})", replacement, key, count=1)
        if name in renamed:
            raise ValueError(f"two tensors of torchvision's {layout.name} would be called '{name}', the second is '{key}'")
        renamed[name] = layout.reorder.get(name, _keep)(tensor.reshape(layout.shapes.get(name, tensor.shape)))
    return renamed


def list_left_out(state_dict: Mapping[str, Tensor], layout: Layout) -> list[str]:
    """Name everything in a checkpoint that :func:`rename_tensors` has no place for: whole tensors by name, parts of tensors in words."""
    dropped = [key for key in state_dict if any(r is None and re.match(p, key) for p, r in layout.rules)]
    return [*dropped, *layout.left_out]


def _keep(tensor: Tensor) -> Tensor:
    return tensor
