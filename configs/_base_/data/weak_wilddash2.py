"""WildDash 2 with image-level labels, its steps those of Cityscapes.

The published images lie in one folder: make ``train.txt`` and ``val.txt`` with mmstreet split.
"""

_base_ = "./weak.py"

_crop_hw = (512, 1024)
train_pipeline = [
    _base_._load_image,
    dict(type="RandomResize", scale=(2048, 1024), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=_crop_hw),
    _base_._flip,
    dict(type="mmstreet.ColorJitter"),
    _base_._pack_weak,
]
# the published masks hold classes that are not evaluated
test_pipeline = [_base_._load_image, dict(_base_._load_labels, unlisted="ignore"), _base_._pack]
_files = dict(data_root="data/wilddash2", split=".")
train_dataloader = dict(
    dataset=dict(
        _files, type="mmstreet.WeakWildDash2SemSeg", image_labels="image_labels.json", ann_file="train.txt", pipeline=train_pipeline
    )
)
val_dataloader = dict(dataset=dict(_files, type="mmstreet.WildDash2SemSeg", ann_file="val.txt", pipeline=test_pipeline))
test_dataloader = val_dataloader
_text_embeddings = dict(text_embeddings="checkpoints/clip_vit_b16_wilddash25.npz", table="wilddash25")
