"""EfficientNet-Lite 0 with ImageNet weights and a ladder of lateral connections up to stride 4: 3.3 million parameters."""

model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="mmstreet.SegDataPreProcessor",
        mean=[127.0, 127.0, 127.0],  # the normalisation that the weights were trained with
        std=[128.0, 128.0, 128.0],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=1,  # crops of one batch are of one size already
        test_cfg=dict(size_divisor=32),  # maps of all strides then lie exactly over each other
    ),
    backbone=dict(type="mmstreet.EfficientNetLite", depth=0),
    decode_head=dict(type="mmstreet.LadderHead", in_channels=(24, 40, 112, 320), channels=96, num_classes=19),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
