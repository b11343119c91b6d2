"""BDD100K's 10k images with semantic masks, 7,000 to train on and 1,000 to validate, at 512×256."""

_base_ = "./loaders.py"

_files = dict(type="mmstreet.BDD100KSemSeg", data_root="data/bdd100k")
_resize = dict(type="Resize", scale=(512, 256), keep_ratio=False)
train_pipeline = [_base_._load_image, _base_._load_labels, _resize, _base_._flip, _base_._pack]
# Labels are loaded after the resizing and keep their size: predictions are brought to it and scored there.
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._pack]
train_dataloader = dict(dataset=dict(_files, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(_files, pipeline=test_pipeline))
test_dataloader = val_dataloader
