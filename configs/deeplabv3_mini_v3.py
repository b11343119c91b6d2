"""Do resolution, focus, weights and augmentation bring back thin and rare classes on generated scenes? v3 on a CPU, from scratch."""

_base_ = ["./deeplabv3_bdd_v3.py", "./_base_/small/mini.py"]

model = dict(**_base_.small_model, auxiliary_head=_base_.small_auxiliary)
load_from = None
optim_wrapper = _base_.small_optimizer
train_cfg = dict(max_epochs=_base_.small_epochs)

size_wh = tuple(2 * side for side in _base_.small_size_wh)
sized = {"Resize": dict(scale=size_wh), "mmstreet.RandomScaleCrop": dict(size_hw=size_wh[::-1])}
train_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.val_pipeline]
test_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.test_pipeline]
train_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=train_pipeline))
val_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=val_pipeline))
test_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=test_pipeline))
