"""How images are sampled and predictions scored, whatever the data set, and the steps that the pipelines of the data sets are made of."""

_load_image = dict(type="mmstreet.LoadImage")
_load_labels = dict(type="mmstreet.LoadLabels")
_flip = dict(type="RandomFlip", prob=0.5)
_pack = dict(type="mmstreet.PackSegInputs")

train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,  # a last batch of one image has no batch statistics
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(split="train"),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(split="val", test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmstreet.StreetIoUMetric")
test_evaluator = val_evaluator

# For six of BDD100K's classes: the rest of the scene is ignored, or one class more.
_six_classes = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6")
_six_and_background = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6_background", unlisted="background")
_six_evaluators = [
    dict(type="mmstreet.StreetIoUMetric", table="street6"),
    dict(type="mmstreet.StreetIoUMetric", table="street6", scope="scene", prefix="scene"),
]
