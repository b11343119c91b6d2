"""The generated street scenes with their instances, and a Mask R-CNN that one processor core trains from scratch in minutes.

Half of the cars are narrower than 17 pixels, so the images keep their 640×360, and the smallest anchors are small.
"""

small_epochs = (14, 8)
small_batch = 2
small_steps = {"mmstreet.Letterbox": dict(size_hw=(384, 640))}
small_loader = dict(num_workers=1, dataset=dict(data_root="data/mini"))
small_optimizer = dict(type="AdamW", lr=1e-3, weight_decay=1e-4)
small_region = dict(out_channels=64)
small_model = dict(
    backbone=dict(depth=18, base_channels=32, stem_channels=32, frozen_stages=-1, norm_eval=False, norm_cfg=dict(eps=1e-5)),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=64),
    rpn_head=dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[3])),
    roi_head=dict(
        bbox_roi_extractor=small_region,
        mask_roi_extractor=small_region,
        bbox_head=dict(in_channels=64, fc_out_channels=256),
        mask_head=dict(num_convs=2, in_channels=64, conv_out_channels=64),
    ),
    train_cfg=dict(rpn_proposal=dict(nms_pre=1000, max_per_img=300), rcnn=dict(sampler=dict(num=128))),
    test_cfg=dict(rpn=dict(nms_pre=1000, max_per_img=300)),
)
