"""How far does PixelNet get on generated scenes? BDD100K's 19 classes, on a CPU, from scratch, with a narrow VGG16."""

_base_ = [
    "./_base_/models/pixelnet_small.py",
    "./_base_/data/mini.py",
    "./_base_/schedules/pixelnet_small.py",
    "./_base_/runtime/default.py",
]

train_cfg = dict(max_epochs=_base_._small_epochs)

train_pipeline = [
    _base_._load_image,
    _base_._load_labels,
    _base_._resize,
    _base_._flip,
    dict(type="mmstreet.ColorJitter"),
    _base_._pack,
]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
