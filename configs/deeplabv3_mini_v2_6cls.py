"""What becomes of six classes when all others weigh nothing, on generated scenes? v2_6cls on a CPU, from scratch."""

_base_ = [
    "./_base_/models/deeplabv3_small.py",
    "./_base_/data/mini.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_mini_v2"

_six = ["bicycle", "motorcycle", "pole", "car", "person", "vegetation"]
_class_weight = dict(_base_._v2_loss.class_weight, only=_six)
model = dict(
    decode_head=dict(loss_decode=dict(_base_._v2_loss, class_weight=_class_weight, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, loss_decode=dict(_base_._v2_auxiliary_loss, class_weight=_class_weight)),
)
optim_wrapper = dict(_base_._v2_optim_wrapper, paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_._small_epochs)

_only_six = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="bdd100k_sem19", mapping=dict(zip(_six, _six)))
test_pipeline = [_base_._load_image, _base_._resize, _base_._load_labels, _only_six, _base_._pack]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(convention="bdd100k")  # a class without labelled pixels is in no mean, even where it is predicted
test_evaluator = val_evaluator
