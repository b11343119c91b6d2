"""How far do image-level labels and CLIP get on Cityscapes, when pseudo-masks are made while training?

CARB's dual path (Kim, Lee, Choe, Shim: Weakly Supervised Semantic Segmentation for Driving Scenes, AAAI 2024), which reports 51.8 % mIoU on
the test set. Two processes of four crops each. No annotated mask is read in training.
"""

_base_ = [
    "./_base_/models/carb_r50.py",
    "./_base_/data/weak_cityscapes.py",
    "./_base_/schedules/carb.py",
    "./_base_/runtime/iterations.py",
]

model = dict(data_preprocessor=dict(size=_base_._crop_hw))
