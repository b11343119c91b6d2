"""DeepLabV3 with torchvision's weights from COCO; they fill everything but a classifier of another width.

``_auxiliary_head`` is torchvision's second output, on the features of the last stage but one.
"""

_base_ = "./segmentor_r50.py"

model = dict(
    decode_head=dict(
        type="mmstreet.DeepLabV3Head",
        in_channels=2048,
        channels=256,
        atrous_rates=(12, 24, 36),
        num_classes=19,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
_auxiliary_head = dict(type="mmstreet.TorchvisionFCNHead", in_channels=1024, in_index=2, num_classes=19)
load_from = "https://download.pytorch.org/models/deeplabv3_resnet50_coco-cd0a2569.pth"
