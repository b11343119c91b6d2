"""What does SegFormer-B2 reach on BDD100K in the setting of the official model zoo?

The zoo's best is 67.26. From ImageNet weights (NVIDIA Source Code License: non-commercial).
The rates are SegFormer's own: the head learns ten times as fast.
"""

_base_ = [
    "./_base_/models/transformers.py",
    "./_base_/data/bdd100k_zoo.py",
    "./_base_/schedules/zoo.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "deeplabv3plus_bdd"

model = dict(model="nvidia/mit-b2", data_preprocessor=dict(size=_base_._crop_hw))
_heads = {"network.decode_head": dict(lr_mult=10.0)}
optim_wrapper = dict(_base_._adamw, paramwise_cfg=dict(_base_._adamw["paramwise_cfg"], custom_keys=_heads))
param_scheduler = _base_._adamw_schedule
