"""What does UPerNet on ConvNeXt-B, the best of BDD100K's official model zoo, reach in the zoo's setting?

The zoo reports 67.26. From weights for ADE20K (the zoo: ImageNet-22k); the classifier is new.
"""

_base_ = [
    "./_base_/models/transformers.py",
    "./_base_/data/bdd100k_zoo.py",
    "./_base_/schedules/zoo.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "deeplabv3plus_bdd"

model = dict(model="openmmlab/upernet-convnext-base", data_preprocessor=dict(size=_base_._crop_hw))
optim_wrapper = dict(_base_._adamw, optimizer=dict(_base_._adamw["optimizer"], lr=1e-4, weight_decay=0.05))
param_scheduler = _base_._adamw_schedule
