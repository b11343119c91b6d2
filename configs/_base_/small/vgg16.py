"""A VGG16 that a CPU can train from scratch: a quarter of the channels, batch norm, five levels, a perceptron in proportion."""

narrow_model = dict(
    backbone=dict(base_channels=16, batch_norm=True, levels=("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3")),
    decode_head=dict(in_channels=(16, 32, 64, 128, 128), in_index=(0, 1, 2, 3, 4), widths=(256, 256), dropout_ratio=0.1),
)
narrow_optimizer = dict(type="AdamW", lr=1e-3, weight_decay=1e-4)
