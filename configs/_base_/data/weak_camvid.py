"""CamVid's 11 classes with image-level labels: crops of 960×720 from frames enlarged up to four times more than that."""

_base_ = "./weak.py"

_crop_hw = (720, 960)
train_pipeline = [
    _base_._load_image,
    dict(type="RandomResize", scale=_crop_hw[::-1], ratio_range=(1.0, 4.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=_crop_hw),
    _base_._flip,
    dict(type="mmstreet.ColorJitter"),
    _base_._pack_weak,
]
# Frames are scored at their own size, but seen as large as in training.
test_pipeline = [_base_._load_image, dict(type="Resize", scale=_crop_hw[::-1], keep_ratio=True), _base_._load_labels, _base_._pack]
_files = dict(data_root="data/camvid11")
train_dataloader = dict(dataset=dict(_files, type="mmstreet.WeakCamVidSemSeg", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(_files, type="mmstreet.CamVidSemSeg", pipeline=test_pipeline))
test_dataloader = val_dataloader
_text_embeddings = dict(text_embeddings="checkpoints/clip_vit_b16_camvid11.npz", table="camvid11")
