"""How far do the same pseudo-masks get when they are made once and read from disk?

CARB's single path: masks by tools/make_pseudo_masks.py, no teacher and no local view in training.
"""

_base_ = "./carb_cityscapes.py"

model = dict(teacher=None)
load_masks = dict(type="mmstreet.LoadLabels")
steps = _base_.train_pipeline
train_pipeline = [steps[0], load_masks, *steps[1:]]
train_dataloader = dict(dataset=dict(masks_dir="pseudo_masks/train", pipeline=train_pipeline))
