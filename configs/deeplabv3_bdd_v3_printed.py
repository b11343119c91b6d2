"""What do the class weights that the street-view study prints do, which its own recipe does not yield?

Bicycle 7.243, motorcycle 10, pole 0.233, car 0.1, person 0.817, vegetation 0.1, as numbers only; see docs/losses.md. Against v3: these.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k_six.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_bdd_v3"

_class_weight = "street6_published"

model = dict(
    decode_head=dict(num_classes=6, loss_decode=dict(_base_._v3_loss, class_weight=_class_weight, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, num_classes=6, loss_decode=dict(_base_._v3_auxiliary_loss, class_weight=_class_weight)),
)
optim_wrapper = _base_._v2_optim_wrapper

_crop = dict(_base_._v3_scale_crop, size_hw=_base_._crop_hw)
train_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_classes, _crop, *_base_._v3_augment]
train_dataloader = dict(batch_size=_base_._v3_batch_size, dataset=dict(pipeline=train_pipeline))
