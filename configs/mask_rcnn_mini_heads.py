"""How far does a small Mask R-CNN get from scratch on a CPU? Stage one on generated scenes.

Features of random weights are nothing to protect, so here the backbone trains in stage one as well; what remains of the two
stages is the tenfold lower rate of the second.
"""

_base_ = ["./mask_rcnn_bdd_heads.py", "./_base_/small/mini_instances.py"]

model = _base_.small_model
load_from = None
optim_wrapper = dict(optimizer=dict(_base_.small_optimizer, _delete_=True), clip_grad=dict(max_norm=10))
auto_scale_lr = dict(enable=False)
param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=100)]
train_cfg = dict(max_epochs=_base_.small_epochs[0], val_interval=_base_.small_epochs[0])

train_pipeline = [dict(step, **_base_.small_steps.get(step["type"], {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **_base_.small_steps.get(step["type"], {})) for step in _base_.test_pipeline]
train_dataloader = dict(
    _base_.small_loader, batch_size=_base_.small_batch, dataset=dict(_base_.small_loader.dataset, pipeline=train_pipeline)
)
val_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
