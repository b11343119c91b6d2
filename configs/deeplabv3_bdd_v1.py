"""How far does a DeepLabV3 with COCO weights get on 19 street classes with nothing but cross entropy?

The baseline of the street-view study (Man, Leobandung, Jiang, Pan: Streetview Semantics, 2025): 512×256, batch 8. The study names neither
optimiser nor augmentation nor epochs of this version; AdamW, horizontal flips and the ten epochs of its other versions are ours.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/datasets/bdd100k.py",
    "./_base_/schedules/epochs.py",
    "./_base_/runtime.py",
]

resize = dict(type="Resize", scale=(512, 256), keep_ratio=False)
train_pipeline = [
    dict(type="mmstreet.LoadImage"),
    dict(type="mmstreet.LoadLabels"),
    resize,
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackSegInputs"),
]
# Labels are loaded after the resizing and keep their size: predictions are brought to it and scored there.
test_pipeline = [dict(type="mmstreet.LoadImage"), resize, dict(type="mmstreet.LoadLabels"), dict(type="PackSegInputs")]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-4, weight_decay=1e-4))
