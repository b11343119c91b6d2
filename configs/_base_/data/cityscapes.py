"""Cityscapes as it is published, fine annotations in labelIds, in its 2:1 format at 1024×512."""

_load_image = dict(type="mmstreet.LoadImage")
_load_labels = dict(type="mmstreet.LoadLabels", unlisted="ignore")  # labelIds hold classes that are not evaluated
_resize = dict(type="Resize", scale=(1024, 512), keep_ratio=False)
_pack = dict(type="mmstreet.PackSegInputs")
train_pipeline = [_load_image, _load_labels, _resize, _pack]
# Labels are loaded after the resizing and keep their size: predictions are brought to it and scored there.
test_pipeline = [_load_image, _resize, _load_labels, _pack]

_files = dict(type="mmstreet.CityscapesSemSeg", data_root="data/cityscapes")
train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    drop_last=True,  # a last batch of one image has no batch statistics
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(_files, split="train", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(_files, split="val", test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmstreet.StreetIoUMetric")
test_evaluator = val_evaluator
