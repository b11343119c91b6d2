"""A segmentor on ResNet-50 at output stride 8, block by block torchvision's; the heads come with each model."""

_base_ = "./segmentor.py"

model = dict(
    backbone=dict(
        type="ResNet",
        depth=50,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        contract_dilation=True,  # the first block of a stage keeps the dilation of the stage before
        norm_cfg=dict(type="BN"),
    ),
)
