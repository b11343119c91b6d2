"""Does the balance of regions help against wrong masks on generated scenes? The single path on a CPU, from scratch.

Any masks do: CLIP's, or ground truth damaged with a seed (benchmarks/carb_noise.py). Without CLIP there are no text embeddings either; the
classifier is learned.
"""

_base_ = ["./carb_cityscapes_single.py", "./_base_/small/mini.py"]

crop_hw = _base_.small_size_wh[::-1]
norm = dict(type="BN")
model = dict(
    data_preprocessor=dict(size=crop_hw),
    backbone=dict(type="ResNet", norm_cfg=norm, init_cfg=None, **_base_.small_model.backbone),
    decode_head=dict(
        in_channels=192,
        channels=96,
        dilations=(2, 4, 6, 8),
        text_embeddings=None,
        table="bdd100k_sem19",
        norm_cfg=norm,
        loss_decode=dict(warmup_iters=200),
    ),
)
resize = dict(type="Resize", scale=_base_.small_size_wh, keep_ratio=False)
train_pipeline = [
    dict(type="mmstreet.LoadImage"),
    _base_.load_masks,
    resize,
    dict(type="RandomFlip", prob=0.5),
    _base_.pack,
]
test_pipeline = [dict(type="mmstreet.LoadImage"), resize, dict(type="mmstreet.LoadLabels"), dict(type="PackSegInputs")]
loader = dict(num_workers=2, batch_size=8)
train_dataloader = dict(loader, dataset=dict(type="mmstreet.WeakBDD100KSemSeg", data_root="data/mini", pipeline=train_pipeline))
val_dataloader = dict(num_workers=2, dataset=dict(type="mmstreet.BDD100KSemSeg", data_root="data/mini", pipeline=test_pipeline))
test_dataloader = val_dataloader

train_cfg = dict(max_iters=400, val_interval=200)
optim_wrapper = dict(optimizer=dict(_delete_=True, type="AdamW", lr=1e-3, weight_decay=1e-4))
default_hooks = dict(checkpoint=dict(interval=200))
