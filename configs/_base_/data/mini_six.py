"""Six classes of the generated street scenes by remapping, the rest is ignored; crops of 512×256, whole images at 512×288.

Validation scores the labelled pixels of the six. The test scores these and, under ``scene/``, the whole scene, where a car predicted on
the road is a false alarm.
"""

_base_ = "./loaders.py"

_crop_hw = (256, 512)
# The format of the camera is kept, as in the crops of training: squeezed to the format of the crops, a wheel would be 1.125 as wide as high,
# and the network sees none like that in training. (Squeezing in training as well would blur thin objects before they are enlarged.)
_resize = dict(type="Resize", scale=(512, 288), keep_ratio=True)
val_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._six_classes, _base_._pack]
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._six_and_background, _base_._pack]
_files = dict(type="mmstreet.BDD100KSemSeg", data_root="data/mini")
train_dataloader = dict(num_workers=2, dataset=dict(_files, table="street6"))
val_dataloader = dict(num_workers=2, dataset=dict(_files, table="street6", pipeline=val_pipeline))
test_dataloader = dict(num_workers=2, dataset=dict(_files, table="street6_background", pipeline=test_pipeline))
test_evaluator = _base_._six_evaluators
_small_epochs = 5  # of a small model
