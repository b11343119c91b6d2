"""Do rare classes gain from being sampled more often, and from rotation, crops and colour jitter? Stage two with both.

What the study names as its future scope. An image is repeated ``sqrt(0.1 / f)`` times, rounded up or down at random, for the rarest of its
classes, which ``f`` of all images have: about three times for a class in one per cent of the images (Gupta, Dollár, Girshick: LVIS, 2019).
"""

_base_ = [
    "./_base_/models/mask_rcnn_r50.py",
    "./_base_/data/bdd100k_instances.py",
    "./_base_/schedules/instances_all.py",
    "./_base_/runtime/detection.py",
]

_variant_of = "mask_rcnn_bdd"

load_from = f"work_dirs/mask_rcnn_bdd_heads/epoch_{_base_._heads_epochs}.pth"

train_pipeline = [
    *_base_._load_objects,
    dict(type="PhotoMetricDistortion"),
    dict(type="Rotate", prob=0.5, max_mag=10.0, img_border_value=0),
    dict(type="RandomCrop", crop_type="relative_range", crop_size=(0.6, 0.6), allow_negative_crop=True),
    _base_._flip,
    _base_._letterbox,
    _base_._pack,
]
_balanced = dict(
    type="ClassBalancedDataset",
    oversample_thr=0.1,
    dataset=dict(_base_.train_dataloader.dataset, pipeline=train_pipeline),
)
train_dataloader = dict(dataset=dict(_balanced, _delete_=True))
