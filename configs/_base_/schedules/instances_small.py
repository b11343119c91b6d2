"""Stage one on a CPU: fourteen epochs of AdamW with clipped gradients and a validation at the end. Stage two is ``_all…``."""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=14, val_interval=14)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4), clip_grad=dict(max_norm=10))
auto_scale_lr = dict(enable=False, base_batch_size=16)
param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=100)]

_all_train_cfg = dict(max_epochs=8, val_interval=8)
_all_lr = optim_wrapper["optimizer"]["lr"] / 10
