"""How far does a small network with ImageNet weights come on CamVid's 367 frames of 480x360?

EfficientNet-Lite 0 and a light decoder to stride 4, trained on crops that keep pole, signsymbol, pedestrian and bicyclist in view. Frames
go in at 768x576: thin things are two pixels wide at their own size, and the sides are whole multiples of the coarsest stride.
"""

_base_ = [
    "./_base_/models/ladder_lite0.py",
    "./_base_/data/camvid.py",
    "./_base_/recipes/street.py",
    "./_base_/runtime/default.py",
]

_variant_of = "street_bdd"

model = dict(
    decode_head=dict(
        num_classes=_base_._num_classes,
        loss_decode=dict(_base_._street_loss, class_weight=dict(_base_._street_class_weight, table="camvid11")),
    )
)
custom_hooks = [*_base_.custom_hooks, _base_._ema]

_thin = (2, 6, 9, 10)  # pole, signsymbol, pedestrian, bicyclist
_crop = dict(_base_._street_crop, size_hw=(256, 352), prefer=_thin)
train_pipeline = [_base_._load_image, _base_._load_labels, _crop, *_base_._street_augment]
_enlarge = dict(type="Resize", scale=(768, 576), keep_ratio=True)
test_pipeline = [_base_._load_image, _enlarge, _base_._load_labels, _base_._pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
