"""What does a deeper backbone bring? ResNet-101 with torchvision's ImageNet weights, every layer trained from the start.

Torchvision publishes no Mask R-CNN on ResNet-101, so there is no stage one: heads on frozen ImageNet features only would not have
the COCO detector to start from. The rate is that of stage one, and batch norm has its usual epsilon again.
"""

_base_ = [
    "./_base_/models/mask_rcnn_r50.py",
    "./_base_/data/bdd100k_instances.py",
    "./_base_/schedules/instances_all.py",
    "./_base_/runtime/detection.py",
]

_variant_of = "mask_rcnn_bdd"

model = dict(backbone=dict(depth=101, frozen_stages=1, norm_cfg=dict(eps=1e-5)))
load_from = "https://download.pytorch.org/models/resnet101-63fe2227.pth"
optim_wrapper = dict(optimizer=dict(lr=_base_._heads_lr))
