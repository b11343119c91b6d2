"""A PixelNet that a CPU can train from scratch: a quarter of VGG16's channels, batch norm, five levels, a perceptron in proportion."""

_base_ = "./segmentor_r50.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmstreet.HypercolumnVGG",
        base_channels=16,
        batch_norm=True,
        levels=("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"),
    ),
    decode_head=dict(
        type="mmstreet.PixelNetHead",
        in_channels=(16, 32, 64, 128, 128),
        in_index=(0, 1, 2, 3, 4),
        num_classes=19,
        widths=(256, 256),
        dropout_ratio=0.1,
        num_pixels=2000,
    ),
)
load_from = None
