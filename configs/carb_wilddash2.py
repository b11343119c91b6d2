"""How far do image-level labels and CLIP get on WildDash 2's hard conditions and 25 classes?

CARB's dual path with Cityscapes' schedule. The published images lie in one folder: make ``train.txt`` and ``val.txt`` with
mmstreet split.
"""

_base_ = [
    "./_base_/models/carb_r50.py",
    "./_base_/data/weak_wilddash2.py",
    "./_base_/schedules/carb.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "carb_cityscapes"

model = dict(
    data_preprocessor=dict(size=_base_._crop_hw),
    decode_head=dict(_base_._text_embeddings, num_classes=25),
    teacher=_base_._text_embeddings,
)
