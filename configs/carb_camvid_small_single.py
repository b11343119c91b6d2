"""Does the balance of regions help against wrong masks on real street photographs? CamVid without CLIP and local patch, on a CPU."""

_base_ = [
    "./_base_/models/carb_small.py",
    "./_base_/data/weak_camvid_small.py",
    "./_base_/schedules/carb_small.py",
    "./_base_/runtime/iterations.py",
]

model = dict(data_preprocessor=dict(size=_base_._size_hw), decode_head=dict(num_classes=11, table="camvid11"))
train_pipeline = [_base_._load_image, _base_._load_labels, *_base_._augment]
train_dataloader = dict(dataset=dict(masks_dir="pseudo_masks/train", pipeline=train_pipeline))
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
