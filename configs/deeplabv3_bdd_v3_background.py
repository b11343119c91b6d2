"""Does a class for the rest of the scene stop the six-class model from predicting its classes on roads and houses?

A model that never sees background has to call every pixel one of the six. Here the other thirteen classes become a seventh; scores are of
the six, as in v3.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k_six.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_bdd_v3"

_class_weight = dict(_base_._v3_class_weight, table="street6_background")
model = dict(
    decode_head=dict(num_classes=7, loss_decode=dict(_base_._v3_loss, class_weight=_class_weight, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, num_classes=7, loss_decode=dict(_base_._v3_auxiliary_loss, class_weight=_class_weight)),
)
optim_wrapper = _base_._v2_optim_wrapper

_crop = dict(_base_._v3_scale_crop, size_hw=_base_._crop_hw)
train_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_and_background, _crop, *_base_._v3_augment]
train_dataloader = dict(batch_size=_base_._v3_batch_size, dataset=dict(table="street6_background", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(table="street6_background", pipeline=_base_.test_pipeline))
val_evaluator = dict(table="street6")
