"""Does a balanced sample find thin and rare classes on generated scenes? Six classes, on a CPU, from scratch, with a narrow VGG16."""

_base_ = [
    "./_base_/models/pixelnet_small.py",
    "./_base_/data/mini_six.py",
    "./_base_/schedules/pixelnet_small.py",
    "./_base_/runtime/default.py",
]

_variant_of = "pixelnet_mini"

model = dict(decode_head=dict(num_classes=6, sampling="class_balanced"))
train_cfg = dict(max_epochs=_base_._small_epochs)

_resize = dict(_base_._resize, scale=(256, 128), keep_ratio=False)
train_pipeline = [
    _base_._load_image,
    _base_._load_labels,
    _base_._six_classes,
    _resize,
    _base_._flip,
    dict(type="mmstreet.ColorJitter"),
    _base_._pack,
]
val_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._six_classes, _base_._pack]
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._six_and_background, _base_._pack]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
