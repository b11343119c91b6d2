"""How far does PixelNet get on BDD100K's 19 classes, beside DeepLabV3 at the same size?

The settings of pixelnet_cityscapes.py; images at 512×256 and the data set are those of deeplabv3_bdd_v1.py.
"""

_base_ = [
    "./_base_/models/pixelnet_vgg16.py",
    "./_base_/data/bdd100k.py",
    "./_base_/schedules/pixelnet.py",
    "./_base_/runtime/default.py",
]

train_pipeline = [
    _base_._load_image,
    _base_._load_labels,
    _base_._resize,
    _base_._flip,
    dict(type="mmstreet.ColorJitter"),
    _base_._pack,
]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
