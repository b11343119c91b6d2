"""Does the same model learn six hard classes better when all others weigh nothing?

The study's answer is no: pole, motorcycle and bicycle fell below 0.1 % IoU. Training differs from v2 by the zero weights alone. Scored are
the pixels of the six classes, the mean over those six, so that the numbers compare with those of v3.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_bdd_v2"

_six = ["bicycle", "motorcycle", "pole", "car", "person", "vegetation"]
_class_weight = dict(_base_._v2_loss.class_weight, only=_six)
model = dict(
    decode_head=dict(loss_decode=dict(_base_._v2_loss, class_weight=_class_weight, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, loss_decode=dict(_base_._v2_auxiliary_loss, class_weight=_class_weight)),
)
optim_wrapper = _base_._v2_optim_wrapper

_only_six = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="bdd100k_sem19", mapping=dict(zip(_six, _six)))
test_pipeline = [_base_._load_image, _base_._resize, _base_._load_labels, _only_six, _base_._pack]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(convention="bdd100k")  # a class without labelled pixels is in no mean, even where it is predicted
test_evaluator = val_evaluator
