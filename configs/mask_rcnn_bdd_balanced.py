"""Do rare classes gain from being drawn more often, and from rotation, crops and colour jitter? Stage two with both.

What the study names as its future scope. An image is repeated ``sqrt(0.1 / f)`` times, rounded up or down at random, for the rarest of its
classes, which ``f`` of all images have: about three times for a class in one per cent of the images (Gupta, Dollár, Girshick: LVIS, 2019).
"""

_base_ = "./mask_rcnn_bdd.py"

train_pipeline = [
    *_base_.train_pipeline[:2],
    dict(type="PhotoMetricDistortion"),
    dict(type="Rotate", prob=0.5, max_mag=10.0, img_border_value=0),
    dict(type="RandomCrop", crop_type="relative_range", crop_size=(0.6, 0.6), allow_negative_crop=True),
    *_base_.train_pipeline[2:],
]
balanced = dict(
    type="ClassBalancedDataset",
    oversample_thr=0.1,
    dataset=dict(_base_.train_dataloader.dataset, pipeline=train_pipeline),
)
train_dataloader = dict(dataset=dict(balanced, _delete_=True))
