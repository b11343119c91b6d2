"""How far do the same pseudo-masks get when they are made once and read from disk?

Masks by ``mmstreet pseudo-masks``; neither teacher nor local patch in training, which the published code has no setting for.
"""

_base_ = [
    "./_base_/models/carb_r50.py",
    "./_base_/data/weak_cityscapes.py",
    "./_base_/schedules/carb.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "carb_cityscapes"

model = dict(data_preprocessor=dict(size=_base_._crop_hw), teacher=None)
train_pipeline = [_base_._load_image, _base_._load_labels, *_base_._augment]
train_dataloader = dict(dataset=dict(masks_dir="pseudo_masks/train", pipeline=train_pipeline))
