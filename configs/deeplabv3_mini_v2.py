"""What do the additions of v2 change on generated scenes? v2 on a CPU, from scratch."""

_base_ = [
    "./_base_/models/deeplabv3_small.py",
    "./_base_/data/mini.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_mini_v1"

model = dict(
    decode_head=dict(loss_decode=dict(_base_._v2_loss, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, loss_decode=_base_._v2_auxiliary_loss),
)
optim_wrapper = dict(_base_._v2_optim_wrapper, paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_._small_epochs)
