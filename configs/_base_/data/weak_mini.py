"""The generated street scenes with image-level labels, at 256×128."""

_base_ = "./weak.py"

_size_hw = (128, 256)
_resize = dict(type="Resize", scale=_size_hw[::-1], keep_ratio=False)
_augment = [_resize, _base_._flip, _base_._pack_weak]
train_pipeline = [_base_._load_image, *_augment]
test_pipeline = [_base_._load_image, _resize, _base_._load_labels, _base_._pack]
_files = dict(data_root="data/mini")
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(_files, type="mmstreet.WeakBDD100KSemSeg", pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(_files, type="mmstreet.BDD100KSemSeg", pipeline=test_pipeline))
test_dataloader = val_dataloader
_text_embeddings = dict(text_embeddings="checkpoints/tiny_clip/text_embeddings.npz", table="bdd100k_sem19")
