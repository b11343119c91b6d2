"""The generated street scenes with their instances. The images keep their 640×360, as half of the cars are narrower than 17 pixels."""

_base_ = "./bdd100k_instances.py"

_letterbox = dict(_base_._letterbox, size_hw=(384, 640))
train_pipeline = [*_base_._load_objects, _base_._flip, _letterbox, _base_._pack]
test_pipeline = [_base_._load_image, _letterbox, _base_._pack_test]
_files = dict(data_root="data/mini")
train_dataloader = dict(batch_size=2, num_workers=1, dataset=dict(_files, pipeline=train_pipeline))
val_dataloader = dict(num_workers=1, dataset=dict(_files, pipeline=test_pipeline))
test_dataloader = val_dataloader
