"""Do pseudo-masks of a tiny CLIP, made while training, teach a network real street photographs? The dual path on CamVid, on a CPU."""

_base_ = [
    "./_base_/models/carb_small.py",
    "./_base_/data/weak_camvid_small.py",
    "./_base_/schedules/carb_small.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "carb_camvid_small_single"

model = dict(
    data_preprocessor=dict(size=_base_._size_hw),
    decode_head=dict(_base_._text_embeddings, channels=64, num_classes=11),  # as wide as the tiny CLIP's embeddings
    teacher=dict(_base_._text_embeddings, _delete_=True, type="mmstreet.ClipTeacher", model="checkpoints/tiny_clip"),
    patch_hw=(176, 64),
)
default_hooks = dict(checkpoint=dict(interval=_base_.train_cfg.val_interval))
