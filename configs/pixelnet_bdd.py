"""How far does PixelNet get on BDD100K's 19 classes, beside DeepLabV3 at the same size?

The settings of pixelnet_cityscapes.py; images at 512×256 and the data set are those of deeplabv3_bdd_v1.py.
"""

_base_ = [
    "./_base_/models/pixelnet_vgg16.py",
    "./_base_/datasets/bdd100k.py",
    "./_base_/schedules/pixelnet.py",
    "./_base_/runtime.py",
]

resize = dict(type="Resize", scale=(512, 256), keep_ratio=False)
train_pipeline = [
    dict(type="mmstreet.LoadImage"),
    dict(type="mmstreet.LoadLabels"),
    resize,
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [dict(type="mmstreet.LoadImage"), resize, dict(type="mmstreet.LoadLabels"), dict(type="PackSegInputs")]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
