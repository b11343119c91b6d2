"""Does sampling as many pixels of every class do for six rare and common classes what weights do in the loss?

The sample is balanced instead of the loss: of the 2,000 pixels of an image each class present gets an equal share. Six classes are left by
remapping, the rest of the scene is never sampled. Validation scores the labelled pixels of the six, the test these and, under
``scene/``, the whole scene, as in deeplabv3_bdd_v3.py.
"""

_base_ = [
    "./_base_/models/pixelnet_vgg16.py",
    "./_base_/data/bdd100k_six.py",
    "./_base_/schedules/pixelnet.py",
    "./_base_/runtime/default.py",
]

_variant_of = "pixelnet_bdd"

model = dict(decode_head=dict(num_classes=6, sampling="class_balanced"))

_resize = dict(_base_._resize, scale=(512, 256), keep_ratio=False)
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
