"""Do twice the resolution, a harder focus, heavier weights and strong augmentation bring back the thin and rare ones of six classes?

The targeted version of the street-view study, with its numbers. Six classes are left by remapping, the rest of the scene is ignored. The
study gives no strengths for blur, colour jitter and the size of the erased holes. A hole gets no loss: it may hide a whole bicycle, and
nothing in the picture would then say so.

Validation scores the labelled pixels of the six. The test scores these and, under ``scene/``, the whole scene, where a car painted on the
road is a false alarm.
"""

_base_ = "./deeplabv3_bdd_v2.py"

num_classes = 6
loss = dict(
    class_weight=dict(table="street6", boosts=dict(bicycle=3.0, motorcycle=3.0, pole=2.0), clip=(0.1, 10.0)),
    gamma=3.0,
)
model = dict(
    decode_head=dict(num_classes=num_classes, loss_decode=loss),
    auxiliary_head=dict(num_classes=num_classes, loss_decode=loss),
)

size_wh = tuple(2 * side for side in _base_.resize.scale)
resize = dict(_base_.resize, scale=size_wh)
load_image, load_labels = _base_.train_pipeline[:2]
flip, pack = _base_.train_pipeline[-2:]
remap = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6")
train_pipeline = [
    load_image,
    load_labels,
    remap,
    # 0, 1 and 2 are the boosted classes: bicycle, motorcycle, pole
    dict(type="mmstreet.RandomScaleCrop", size_hw=size_wh[::-1], scale=(0.5, 2.0), fraction=(0.6, 1.0), prefer=(0, 1, 2)),
    flip,
    dict(type="PhotoMetricDistortion"),
    dict(type="mmstreet.RandomGaussianBlur", prob=0.2, sigma_px=(0.1, 1.5)),
    dict(type="RandomCutOut", prob=0.3, n_holes=(1, 4), cutout_ratio=[(0.03, 0.06), (0.05, 0.1)], fill_in=(104, 116, 124), seg_fill_in=255),
    pack,
]
val_pipeline = [load_image, resize, load_labels, remap, pack]
whole_scene = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6_background", unlisted="background")
test_pipeline = [load_image, resize, load_labels, whole_scene, pack]

train_dataloader = dict(batch_size=4, dataset=dict(table="street6", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(table="street6", pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(table="street6_background", pipeline=test_pipeline))
test_evaluator = [
    dict(type="mmstreet.StreetIoUMetric", table="street6"),
    dict(type="mmstreet.StreetIoUMetric", table="street6", scope="scene", prefix="scene"),
]
