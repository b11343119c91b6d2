"""PixelNet as published: VGG16 with torchvision's ImageNet weights, read at six levels, and two hidden layers of 4096.

The batch norm on the hypercolumn is ours; the paper has none before a perceptron, and needs one before a linear classifier.
"""

_base_ = "./segmentor_r50.py"

model = dict(
    backbone=dict(
        _delete_=True,
        type="mmstreet.HypercolumnVGG",
        levels=("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3", "conv7"),
    ),
    decode_head=dict(
        type="mmstreet.PixelNetHead",
        in_channels=(64, 128, 256, 512, 512, 4096),
        in_index=(0, 1, 2, 3, 4, 5),
        num_classes=19,
        widths=(4096, 4096),
        num_pixels=2000,
    ),
)
load_from = "https://download.pytorch.org/models/vgg16-397923af.pth"
