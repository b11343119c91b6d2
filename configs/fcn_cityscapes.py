"""How far do COCO features get on Cityscapes when only a new classifier is trained?

The baseline of a second street-view study (Asprer, Chu, Lee, Aggarwal: Street-View Semantic Segmentation, 2024), which reports a
validation mIoU of about 23 %: FCN with COCO weights, images at 1024×512, Adam, batch 2, two epochs. Only the last 1×1 convolution is
trained; the layers before it get no gradient and keep their batch statistics. The study names no learning rate; 1e-3 is Adam's default.
"""

_base_ = [
    "./_base_/models/fcn_r50.py",
    "./_base_/data/cityscapes.py",
    "./_base_/runtime/default.py",
]

model = dict(backbone=dict(frozen_stages=4), decode_head=dict(freeze_features=True))
train_dataloader = dict(batch_size=2)

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=2, val_interval=1)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-3))
