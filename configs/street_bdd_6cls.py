"""Do the six classes of the street-view study gain from the recipe for small pretrained networks?

Against street_bdd: six classes, by remapping, and their weights. The test also scores the whole scene.
"""

_base_ = [
    "./_base_/models/ladder_lite0.py",
    "./_base_/data/bdd100k_six.py",
    "./_base_/recipes/street.py",
    "./_base_/runtime/default.py",
]

_variant_of = "street_bdd"

model = dict(
    decode_head=dict(
        num_classes=6,
        loss_decode=dict(_base_._street_loss, class_weight=dict(_base_._street_class_weight, table="street6")),
    )
)
custom_hooks = [*_base_.custom_hooks, _base_._ema]

_thin = (0, 1, 2, 4)  # bicycle, motorcycle, pole, person
_crop = dict(_base_._street_crop, size_hw=_base_._crop_hw, prefer=_thin)
train_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_classes, _crop, *_base_._street_augment]
val_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_classes, _base_._pack]
test_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_and_background, _base_._pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
