"""FCN with torchvision's weights from COCO; they fill everything but a classifier of another width.

On ResNet-50 at output stride 8, block by block torchvision's; images are normalised as for its weights, and predicted whole.
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
    decode_head=dict(
        type="mmstreet.TorchvisionFCNHead",
        in_channels=2048,
        num_classes=19,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
load_from = "https://download.pytorch.org/models/fcn_resnet50_coco-1167a1af.pth"
