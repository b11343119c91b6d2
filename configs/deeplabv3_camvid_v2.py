"""What do the additions of v2 change on real street photographs? v2 on CamVid's 11 classes, on a CPU, from scratch."""

_base_ = [
    "./_base_/models/deeplabv3_small.py",
    "./_base_/data/camvid.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_camvid_v1"

_class_weight = dict(_base_._v2_loss.class_weight, table="camvid11")
model = dict(
    decode_head=dict(num_classes=_base_._num_classes, loss_decode=dict(_base_._v2_loss, class_weight=_class_weight, _delete_=True)),
    auxiliary_head=dict(
        _base_._auxiliary_head,
        num_classes=_base_._num_classes,
        loss_decode=dict(_base_._v2_auxiliary_loss, class_weight=_class_weight),
    ),
)
optim_wrapper = dict(_base_._v2_optim_wrapper, paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_._small_epochs)
