"""The generated street scenes, in BDD100K's layout and classes (``mmstreet mini data/mini``), at 256×128."""

_base_ = "./loaders.py"

_files = dict(type="mmstreet.BDD100KSemSeg", data_root="data/mini")
_resize = dict(type="Resize", scale=(256, 128), keep_ratio=False)
train_pipeline = [_base_._load_image, _base_._load_labels, _resize, _base_._flip, _base_._pack]
# Labels are loaded after the resizing and keep their size: predictions are brought to it and scored there.
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._pack]
train_dataloader = dict(num_workers=2, dataset=dict(_files, pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(_files, pipeline=test_pipeline))
test_dataloader = val_dataloader
_small_epochs = 5  # of a small model
