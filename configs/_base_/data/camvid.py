"""CamVid in SegNet's 11-class form, 367 frames to train on and 101 to validate, at half their size."""

_base_ = "./loaders.py"

_files = dict(type="mmstreet.CamVidSemSeg", data_root="data/camvid11")
_resize = dict(type="Resize", scale=(240, 180), keep_ratio=False)
train_pipeline = [_base_._load_image, _base_._load_labels, _resize, _base_._flip, _base_._pack]
# Labels are loaded after the resizing and keep their size: predictions are brought to it and scored there.
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._pack]
train_dataloader = dict(num_workers=2, dataset=dict(_files, pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(_files, pipeline=test_pipeline))
test_dataloader = val_dataloader
_small_epochs = 25  # of a small model
_num_classes = 11
