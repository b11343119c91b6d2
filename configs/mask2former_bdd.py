"""What does Mask2Former on Swin-S bring on BDD100K in the setting of the official model zoo, trained by its own loss on queries?

From weights for Cityscapes, whose classes are BDD100K's: their classifier is kept, by name.
"""

_base_ = [
    "./_base_/models/transformers.py",
    "./_base_/data/bdd100k_zoo.py",
    "./_base_/schedules/zoo.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "segformer_bdd"

model = dict(model="facebook/mask2former-swin-small-cityscapes-semantic", head="keep", data_preprocessor=dict(size=_base_._crop_hw))
_encoder = {"pixel_level_module.encoder": dict(lr_mult=0.1)}
optim_wrapper = dict(
    _base_._adamw,
    optimizer=dict(_base_._adamw["optimizer"], lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(_base_._adamw["paramwise_cfg"], custom_keys=_encoder),
    clip_grad=dict(max_norm=0.01),
)
param_scheduler = _base_._adamw_schedule
