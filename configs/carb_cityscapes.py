"""How far do image-level labels and CLIP get on Cityscapes, when pseudo-masks are made while training?

CARB's dual path (Kim, Lee, Choe, Shim: Weakly Supervised Semantic Segmentation for Driving Scenes, AAAI 2024), which reports 51.8 % mIoU on
the test set. Two processes of four crops each. No annotated mask is read in training.
"""

_base_ = [
    "./_base_/models/carb_r50.py",
    "./_base_/datasets/cityscapes.py",
    "./_base_/schedules/carb.py",
    "./_base_/runtime.py",
]

crop_hw = (512, 1024)
pack = dict(type="PackSegInputs", meta_keys=("img_path", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip", "img_label"))
train_pipeline = [
    dict(type="mmstreet.LoadImage"),
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=crop_hw),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    pack,
]
load_labels = dict(type="mmstreet.LoadLabels", unlisted="ignore")  # labelIds hold classes that are not evaluated
test_pipeline = [dict(type="mmstreet.LoadImage"), load_labels, dict(type="PackSegInputs")]

model = dict(data_preprocessor=dict(size=crop_hw, size_divisor=None, test_cfg=dict(size_divisor=1)))
weak = dict(type="mmstreet.WeakCityscapesSemSeg", image_labels="image_labels_train.json", pipeline=train_pipeline)
train_dataloader = dict(batch_size=4, sampler=dict(type="InfiniteSampler"), dataset=weak)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

default_hooks = dict(checkpoint=dict(interval=2000, by_epoch=False))
log_processor = dict(by_epoch=False)
