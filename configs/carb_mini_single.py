"""Does the balance of regions help against wrong masks on generated scenes? Without CLIP and local patch, on a CPU, from scratch.

Any masks do: CLIP's, or ground truth damaged with a seed (benchmarks/carb_noise.py). Without CLIP there are no text embeddings either; the
classifier is learned.
"""

_base_ = [
    "./_base_/models/carb_small.py",
    "./_base_/data/weak_mini.py",
    "./_base_/schedules/carb_small.py",
    "./_base_/runtime/iterations.py",
]

model = dict(data_preprocessor=dict(size=_base_._size_hw))
train_pipeline = [_base_._load_image, _base_._load_labels, *_base_._augment]
train_dataloader = dict(dataset=dict(masks_dir="pseudo_masks/train", pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
