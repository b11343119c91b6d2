"""How far do COCO features get on Cityscapes when only a new classifier is trained?

The baseline of a second street-view study (Asprer, Chu, Lee, Aggarwal: Street-View Semantic Segmentation, 2024), which reports a
validation mIoU of about 23 %: FCN with COCO weights, images at 1024×512, Adam, batch 2, two epochs. Only the last 1×1 convolution is
trained; the layers before it get no gradient and keep their batch statistics. The study names no learning rate; 1e-3 is Adam's default.
"""

_base_ = [
    "./_base_/models/fcn_r50.py",
    "./_base_/datasets/cityscapes.py",
    "./_base_/schedules/epochs.py",
    "./_base_/runtime.py",
]

model = dict(backbone=dict(frozen_stages=4), decode_head=dict(freeze_features=True))

resize = dict(type="Resize", scale=(1024, 512), keep_ratio=False)
load_labels = dict(type="mmstreet.LoadLabels", unlisted="ignore")  # labelIds hold classes that are not evaluated
train_pipeline = [dict(type="mmstreet.LoadImage"), load_labels, resize, dict(type="PackSegInputs")]
test_pipeline = [dict(type="mmstreet.LoadImage"), resize, load_labels, dict(type="PackSegInputs")]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=2)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="Adam", lr=1e-3))
