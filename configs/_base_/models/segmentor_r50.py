"""What segmentors share: images normalised as for torchvision's weights and predicted whole, and ResNet-50, block by block torchvision's.

The backbone has output stride 8; a model with another one replaces it.
"""

model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="mmstreet.SegDataPreProcessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,  # images of one batch are of one size already
    ),
    backbone=dict(
        type="ResNet",
        depth=50,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,  # the first block of a stage keeps the dilation of the stage before
        norm_cfg=dict(type="BN"),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
