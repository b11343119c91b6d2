"""What makes a CPU able to train from scratch: fewer and narrower layers, and one learning rate for all of them."""

small_model = dict(
    backbone=dict(
        depth=18,
        num_stages=3,
        out_indices=(0, 1, 2),
        stem_channels=48,
        base_channels=48,
        strides=(1, 2, 1),
        dilations=(1, 1, 2),
    ),
    decode_head=dict(in_channels=192, channels=96, atrous_rates=(4, 8, 12)),
)
small_auxiliary = dict(in_channels=96, in_index=1)
small_optimizer = dict(optimizer=dict(lr=1e-3), paramwise_cfg=None)
