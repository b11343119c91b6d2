"""How soon does a network that knows one street learn others? The model of the package, fine-tuned on the mini set."""

_base_ = [
    "./_base_/models/ladder_lite0.py",
    "./_base_/data/mini.py",
    "./_base_/recipes/street.py",
    "./_base_/runtime/default.py",
]

_variant_of = "street_bdd"

load_from = "mmstreet://street"  # CamVid's 11 classes; the classifier of 19 starts fresh
model = dict(
    backbone=dict(weights=None),  # they come with load_from
    decode_head=dict(loss_decode=dict(_base_._street_loss, class_weight=dict(_base_._street_class_weight, table="bdd100k_sem19"))),
)
custom_hooks = [*_base_.custom_hooks, _base_._ema]

_thin = (5, 6, 7, 11, 12, 17, 18)  # pole, traffic light, traffic sign, person, rider, motorcycle, bicycle
_crop = dict(_base_._street_crop, size_hw=(192, 320), prefer=_thin)
train_pipeline = [_base_._load_image, _base_._load_labels, _crop, *_base_._street_augment]
test_pipeline = [_base_._load_image, _base_._load_labels, _base_._pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=6, val_interval=6)
