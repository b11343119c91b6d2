"""How far do image-level labels and CLIP get on CamVid's 367 training frames, when pseudo-masks are made while training?

CARB's dual path for a small data set: crops of enlarged frames, a wider range of patch sizes, 12,000 iterations, 4,000 of them warm-up.
"""

_base_ = [
    "./_base_/models/carb_r50.py",
    "./_base_/data/weak_camvid.py",
    "./_base_/schedules/carb.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "carb_cityscapes"

model = dict(
    data_preprocessor=dict(size=_base_._crop_hw),
    decode_head=dict(_base_._text_embeddings, num_classes=11, loss_decode=dict(warmup_iters=4000)),
    teacher=_base_._text_embeddings,
    patch_scale=(0.5, 2.5),
)
train_cfg = dict(max_iters=12000)
