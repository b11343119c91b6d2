"""What does the recipe for small pretrained networks bring on BDD100K's 19 classes, at the images' own size?

EfficientNet-Lite 0 and a light decoder to stride 4. Crops keep the thin and rare classes in view.
"""

_base_ = [
    "./_base_/models/ladder_lite0.py",
    "./_base_/data/bdd100k.py",
    "./_base_/recipes/street.py",
    "./_base_/runtime/default.py",
]

model = dict(decode_head=dict(loss_decode=dict(_base_._street_loss, class_weight=dict(_base_._street_class_weight, table="bdd100k_sem19"))))
custom_hooks = [*_base_.custom_hooks, _base_._ema]

_thin = (5, 6, 7, 11, 12, 17, 18)  # pole, traffic light, traffic sign, person, rider, motorcycle, bicycle
_crop = dict(_base_._street_crop, size_hw=(512, 1024), prefer=_thin)
train_pipeline = [_base_._load_image, _base_._load_labels, _crop, *_base_._street_augment]
test_pipeline = [_base_._load_image, _base_._load_labels, _base_._pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
