"""What does DeepLabV3+ on ResNet-50 reach on BDD100K in the setting of the official model zoo?

The zoo reports 63.96. Images at their own size, crops of 1024×512, batch 16, 80,000 iterations, test at 1280×720.
The zoo starts from another ResNet-50 (v1c); this one from torchvision's weights for ImageNet, which fill the backbone.
"""

_base_ = [
    "./_base_/models/segmentor_r50.py",
    "./_base_/data/bdd100k_zoo.py",
    "./_base_/schedules/zoo.py",
    "./_base_/runtime/iterations.py",
]

_norm = dict(type="SyncBN")
model = dict(
    data_preprocessor=dict(size=_base_._crop_hw, size_divisor=None),
    backbone=dict(norm_cfg=_norm),
    decode_head=dict(
        type="DepthwiseSeparableASPPHead",
        in_channels=2048,
        in_index=3,
        channels=512,
        dilations=(1, 12, 24, 36),
        c1_in_channels=256,
        c1_channels=48,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=_norm,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
    auxiliary_head=dict(
        type="FCNHead",
        in_channels=1024,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        num_classes=19,
        norm_cfg=_norm,
        align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True, loss_weight=0.4),
    ),
)
load_from = "https://download.pytorch.org/models/resnet50-0676ba61.pth"
optim_wrapper = _base_._sgd
param_scheduler = _base_._sgd_schedule
