"""Cityscapes with image-level labels: crops of 1024×512 from the enlarged or reduced image in training, whole images in validation."""

_base_ = "./weak.py"

_crop_hw = (512, 1024)
_augment = [
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=_crop_hw),
    _base_._flip,
    dict(type="mmstreet.ColorJitter"),
    _base_._pack_weak,
]
train_pipeline = [_base_._load_image, *_augment]
# labelIds hold classes that are not evaluated
test_pipeline = [_base_._load_image, dict(_base_._load_labels, unlisted="ignore"), _base_._pack]
_files = dict(data_root="data/cityscapes")
train_dataloader = dict(dataset=dict(_files, type="mmstreet.WeakCityscapesSemSeg", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(_files, type="mmstreet.CityscapesSemSeg", pipeline=test_pipeline))
test_dataloader = val_dataloader
