"""What does a deeper backbone bring? ResNet-101 with torchvision's ImageNet weights, every layer trained from the start.

Torchvision publishes no Mask R-CNN on ResNet-101, so there is no stage one: heads on frozen ImageNet features only would not have
the COCO detector to start from. The rate is that of stage one, and batch norm has its usual epsilon again.
"""

_base_ = "./mask_rcnn_bdd_heads.py"

model = dict(backbone=dict(depth=101, frozen_stages=1, norm_cfg=dict(eps=1e-5)))
load_from = "https://download.pytorch.org/models/resnet101-63fe2227.pth"

train_cfg = dict(max_epochs=12)
param_scheduler = [*_base_.param_scheduler, dict(type="MultiStepLR", by_epoch=True, milestones=[8, 11], gamma=0.1)]
