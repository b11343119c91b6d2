"""Mask R-CNN on ResNet-50-FPN for eight classes, with torchvision's weights from COCO in all but the layers that name a class.

As torchvision trained them: batch norm of frozen statistics without an epsilon, and regions of interest sampled at 2×2 points without the
half-pixel shift. Ignored regions and crowds are neither objects nor background.
"""

_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"

_region = dict(roi_layer=dict(sampling_ratio=2, aligned=False))
model = dict(
    backbone=dict(frozen_stages=-1, norm_cfg=dict(eps=1e-30), init_cfg=None),  # 0 in float32, and some versions of torch refuse 0
    roi_head=dict(
        bbox_roi_extractor=_region,
        mask_roi_extractor=_region,
        bbox_head=dict(num_classes=8),
        mask_head=dict(num_classes=8),
    ),
    train_cfg=dict(rpn=dict(assigner=dict(ignore_iof_thr=0.5)), rcnn=dict(assigner=dict(ignore_iof_thr=0.5))),
)
load_from = "https://download.pytorch.org/models/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth"
