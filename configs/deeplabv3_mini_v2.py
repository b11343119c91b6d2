"""What do the additions of v2 change on generated scenes? v2 on a CPU, from scratch."""

_base_ = ["./deeplabv3_bdd_v2.py", "./_base_/small/mini.py"]

model = dict(**_base_.small_model, auxiliary_head=_base_.small_auxiliary)
load_from = None
optim_wrapper = _base_.small_optimizer
train_cfg = dict(max_epochs=_base_.small_epochs)

sized = dict(Resize=dict(scale=_base_.small_size_wh))
train_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.train_pipeline]
test_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.test_pipeline]
train_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=train_pipeline))
val_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
