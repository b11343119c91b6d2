"""CARB's network: ResNet-50-C at output stride 8, a summed atrous pyramid, text embeddings as classifier, CLIP as teacher.

A leaf gives the preprocessor the size of its crops, to which smaller images are padded.
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
        type="ResNetV1c",
        depth=50,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,  # the first block of a stage keeps the dilation of the stage before
        norm_cfg=dict(type="SyncBN"),
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://resnet50_v1c"),
    ),
    decode_head=dict(
        type="mmstreet.CARBHead",
        in_channels=2048,
        channels=512,
        num_classes=19,
        dilations=(6, 12, 18, 24),
        text_embeddings="checkpoints/clip_vit_b16_cityscapes19.npz",
        table="cityscapes19",
        norm_cfg=dict(type="SyncBN"),
        loss_decode=dict(type="mmstreet.CARBLoss", warmup_iters=16000),
    ),
    teacher=dict(
        type="mmstreet.ClipTeacher",
        model="openai/clip-vit-base-patch16",
        text_embeddings="checkpoints/clip_vit_b16_cityscapes19.npz",
        table="cityscapes19",
    ),
    patch_hw=(512, 256),
    patch_scale=(1.0, 2.0),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
