"""Do pseudo-masks of a tiny CLIP, made while training, teach a network generated scenes? The dual path on a CPU, from scratch.

The tiny CLIP and its text embeddings are trained on the mini set itself: ``python -m benchmarks.train_tiny_clip``.
"""

_base_ = [
    "./_base_/models/carb_small.py",
    "./_base_/data/weak_mini.py",
    "./_base_/schedules/carb_small.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "carb_mini_single"

model = dict(
    data_preprocessor=dict(size=_base_._size_hw),
    decode_head=dict(_base_._text_embeddings, channels=64),  # as wide as the tiny CLIP's embeddings
    teacher=dict(_base_._text_embeddings, _delete_=True, type="mmstreet.ClipTeacher", model="checkpoints/tiny_clip"),
    patch_hw=(128, 64),
)
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
