"""What do masks made once cost the method, if CLIP goes on labelling the local patch while training?

CARB's published single path, its ``dual_path=False``: masks of the view by ``mmstreet pseudo-masks``, those of the patch by the teacher.
"""

_base_ = [
    "./_base_/models/carb_r50.py",
    "./_base_/data/weak_cityscapes.py",
    "./_base_/schedules/carb.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "carb_cityscapes"

model = dict(data_preprocessor=dict(size=_base_._crop_hw), masks="file")
train_pipeline = [_base_._load_image, _base_._load_labels, *_base_._augment]
train_dataloader = dict(dataset=dict(masks_dir="pseudo_masks/train", pipeline=train_pipeline))
