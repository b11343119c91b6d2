"""From torchvision's parameter names to ours: renaming and reshaping, no framework needed.

A :class:`Layout` describes one shape of published checkpoint: how to recognise it, and an ordered list of rules that together name every
tensor. Nothing is guessed: a tensor that no rule names is an error. A new model is one more layout in :data:`LAYOUTS`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

_URL = "https://download.pytorch.org/models/"
PUBLISHED = {
    "deeplabv3_resnet50": _URL + "deeplabv3_resnet50_coco-cd0a2569.pth",
    "fcn_resnet50": _URL + "fcn_resnet50_coco-1167a1af.pth",
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
    """

    name: str
    marker: tuple[str, ...]
    rules: tuple[tuple[str, str | None], ...]
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


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
        Our names with the same tensors, some in another shape, in the same order, without the dropped ones.

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
        renamed[name] = tensor.reshape(layout.shapes.get(name, tensor.shape))
    return renamed
