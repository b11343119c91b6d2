"""How far does plain cross entropy get on generated scenes? v1 on a CPU, from scratch."""

_base_ = [
    "./_base_/models/deeplabv3_small.py",
    "./_base_/data/mini.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

optim_wrapper = dict(optimizer=_base_._v2_optim_wrapper.optimizer, paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_._small_epochs)
