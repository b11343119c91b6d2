"""CARB on ResNet-18 of three stages, which a CPU can train from scratch.

Without CLIP there are no text embeddings either: the classifier is learned. A leaf gives the preprocessor the size of its images.
"""

model = dict(
    type="mmstreet.CARBSegmentor",
    data_preprocessor=dict(
        type="mmstreet.SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=None,
        test_cfg=dict(size_divisor=1),
    ),
    backbone=dict(
        type="ResNet",
        depth=18,
        num_stages=3,
        out_indices=(0, 1, 2),
        stem_channels=48,
        base_channels=48,
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
        contract_dilation=True,
        norm_cfg=dict(type="BN"),
        init_cfg=None,
    ),
    decode_head=dict(
        type="mmstreet.CARBHead",
        in_channels=192,
        channels=96,
        num_classes=19,
        dilations=(2, 4, 6, 8),
        text_embeddings=None,
        table="bdd100k_sem19",
        norm_cfg=dict(type="BN"),
        loss_decode=dict(type="mmstreet.CARBLoss", warmup_iters=200),
    ),
    teacher=None,
    patch_hw=(512, 256),
    patch_scale=(1.0, 2.0),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
