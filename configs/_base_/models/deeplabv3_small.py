"""A DeepLabV3 that a CPU can train from scratch: ResNet-18 of three stages and fewer channels."""

_base_ = "./segmentor_r50.py"

model = dict(
    backbone=dict(
        depth=18,
        num_stages=3,
        out_indices=(0, 1, 2),
        stem_channels=48,
        base_channels=48,
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
    ),
    decode_head=dict(
        type="mmstreet.DeepLabV3Head",
        in_channels=192,
        channels=96,
        atrous_rates=(4, 8, 12),
        num_classes=19,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
_auxiliary_head = dict(type="mmstreet.TorchvisionFCNHead", in_channels=96, in_index=1, num_classes=19)
load_from = None
