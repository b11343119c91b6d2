"""BDD100K's 10k images at their own size, trained on crops of 1024×512 and tested whole, as the official model zoo does.

The zoo: github.com/SysCV/bdd100k-models, ``sem_seg``: 7,000 images to train on, 1,000 to validate, test at 1280×720 and one scale.
"""

_base_ = "./loaders.py"

_files = dict(type="mmstreet.BDD100KSemSeg", data_root="data/bdd100k")
_crop_hw = (512, 1024)
_scale = dict(type="RandomResize", scale=(1280, 720), ratio_range=(0.5, 2.0), keep_ratio=True)
_crop = dict(type="RandomCrop", crop_size=_crop_hw, cat_max_ratio=0.75)
_colors = dict(type="PhotoMetricDistortion")
train_pipeline = [_base_._load_image, _base_._load_labels, _scale, _crop, _base_._flip, _colors, _base_._pack]
test_pipeline = [_base_._load_image, _base_._load_labels, _base_._pack]
train_dataloader = dict(batch_size=16, dataset=dict(_files, pipeline=train_pipeline))  # the zoo: two on each of eight GPUs
val_dataloader = dict(dataset=dict(_files, pipeline=test_pipeline))
test_dataloader = val_dataloader
