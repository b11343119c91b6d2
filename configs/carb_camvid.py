"""How far do image-level labels and CLIP get on CamVid's 367 training frames, when pseudo-masks are made while training?

CARB's dual path for a small data set: crops of enlarged frames, a wider range of patch sizes, 12,000 iterations, 4,000 of them warm-up.
"""

_base_ = "./carb_cityscapes.py"

crop_hw = (720, 960)
embeddings = dict(text_embeddings="checkpoints/clip_vit_b16_camvid11.npz", table="camvid11")
model = dict(
    data_preprocessor=dict(size=crop_hw),
    decode_head=dict(embeddings, num_classes=11, loss_decode=dict(warmup_iters=4000)),
    teacher=embeddings,
    patch_scale=(0.5, 2.5),
)
sized = dict(RandomResize=dict(scale=crop_hw[::-1], ratio_range=(1.0, 4.0)), RandomCrop=dict(crop_size=crop_hw))
train_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.train_pipeline]
# Frames are scored at their own size, but seen as large as in training.
test_pipeline = [
    dict(type="mmstreet.LoadImage"),
    dict(type="Resize", scale=crop_hw[::-1], keep_ratio=True),
    dict(type="mmstreet.LoadLabels"),
    dict(type="PackSegInputs"),
]
files = dict(data_root="data/camvid11")
train_dataloader = dict(dataset=dict(files, type="mmstreet.WeakCamVidSemSeg", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(files, type="mmstreet.CamVidSemSeg", pipeline=test_pipeline))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=12000)
