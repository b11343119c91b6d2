"""FCN with torchvision's weights from COCO; they fill everything but a classifier of another width."""

_base_ = "./resnet50.py"

model = dict(
    decode_head=dict(
        type="mmstreet.TorchvisionFCNHead",
        in_channels=2048,
        num_classes=19,
        loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
    ),
)
load_from = "https://download.pytorch.org/models/fcn_resnet50_coco-1167a1af.pth"
