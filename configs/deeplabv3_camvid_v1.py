"""How far does plain cross entropy get on real street photographs? v1 on CamVid's 11 classes, on a CPU, from scratch."""

_base_ = [
    "./_base_/models/deeplabv3_small.py",
    "./_base_/data/camvid.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

model = dict(decode_head=dict(num_classes=_base_._num_classes))
optim_wrapper = dict(optimizer=_base_._v2_optim_wrapper.optimizer, paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_._small_epochs)
