"""Does drawing as many pixels of every class do for six rare and common classes what weights do in the loss?

The sample is balanced instead of the loss: of the 2,000 pixels of an image each class present gets an equal share. Six classes are left by
remapping, the rest of the scene is never drawn. Validation scores the labelled pixels of the six, the test these and, under ``scene/``, the
whole scene, as in deeplabv3_bdd_v3.py.
"""

_base_ = "./pixelnet_bdd.py"

num_classes = 6
model = dict(decode_head=dict(num_classes=num_classes, sampling="class_balanced"))

load_image, load_labels = _base_.train_pipeline[:2]
remap = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6")
train_pipeline = [load_image, load_labels, remap, *_base_.train_pipeline[2:]]
val_pipeline = [*_base_.test_pipeline[:-1], remap, _base_.test_pipeline[-1]]
whole_scene = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6_background", unlisted="background")
test_pipeline = [*_base_.test_pipeline[:-1], whole_scene, _base_.test_pipeline[-1]]

train_dataloader = dict(dataset=dict(table="street6", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(table="street6", pipeline=val_pipeline))
test_dataloader = dict(dataset=dict(table="street6_background", pipeline=test_pipeline))
test_evaluator = [
    dict(type="mmstreet.StreetIoUMetric", table="street6"),
    dict(type="mmstreet.StreetIoUMetric", table="street6", scope="scene", prefix="scene"),
]
