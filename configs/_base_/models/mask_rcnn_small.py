"""A Mask R-CNN for eight classes that one processor core trains from scratch in minutes: ResNet-18, a narrow pyramid, small anchors.

Half of the cars of the generated scenes are narrower than 17 pixels. Ignored regions and crowds are neither objects nor background.
"""

_base_ = "mmdet::_base_/models/mask-rcnn_r50_fpn.py"

_region = dict(roi_layer=dict(sampling_ratio=2, aligned=False), out_channels=64)
model = dict(
    backbone=dict(depth=18, base_channels=32, stem_channels=32, frozen_stages=-1, norm_eval=False, norm_cfg=dict(eps=1e-5), init_cfg=None),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[3])),
    roi_head=dict(
        bbox_roi_extractor=_region,
        mask_roi_extractor=_region,
        bbox_head=dict(num_classes=8, in_channels=64, fc_out_channels=256),
        mask_head=dict(num_classes=8, num_convs=2, in_channels=64, conv_out_channels=64),
    ),
    train_cfg=dict(
        rpn=dict(assigner=dict(ignore_iof_thr=0.5)),
        rpn_proposal=dict(nms_pre=1000, max_per_img=300),
        rcnn=dict(assigner=dict(ignore_iof_thr=0.5), sampler=dict(num=128)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=300)),
)
load_from = None
