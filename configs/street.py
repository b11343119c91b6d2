"""How far does the recipe for small pretrained networks come on a data set of one's own, that mmstreet init has described?

``mmstreet train street data.yaml``: data sets, classes, their weights, and size and classes of the crops come from that file.
"""

_base_ = [
    "./_base_/models/ladder_lite0.py",
    "./_base_/data/described.py",
    "./_base_/recipes/street.py",
    "./_base_/runtime/default.py",
]

_variant_of = "street_bdd"

model = dict(decode_head=dict(loss_decode=dict(_base_._street_loss, class_weight=dict(_base_._street_class_weight, table="cityscapes19"))))
custom_hooks = [*_base_.custom_hooks, _base_._ema]

_crop = dict(_base_._street_crop, size_hw=(512, 1024))
train_pipeline = [_base_._load_image, _base_._load_labels, _crop, *_base_._street_augment]
test_pipeline = [_base_._load_image, _base_._load_labels, _base_._pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
