"""CamVid's 11 classes with image-level labels, at half their size; 176 rows are a multiple of CLIP's patches."""

_base_ = "./weak.py"

_size_hw = (176, 240)
_resize = dict(type="Resize", scale=_size_hw[::-1], keep_ratio=False)
_augment = [_resize, _base_._flip, _base_._pack_weak]
train_pipeline = [_base_._load_image, *_augment]
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._pack]
_files = dict(data_root="data/camvid11")
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(_files, type="mmstreet.WeakCamVidSemSeg", pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(_files, type="mmstreet.CamVidSemSeg", pipeline=test_pipeline))
test_dataloader = val_dataloader
_text_embeddings = dict(text_embeddings="checkpoints/tiny_clip/text_embeddings_camvid.npz", table="camvid11")
