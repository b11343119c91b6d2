"""Does a balanced sample find thin and rare classes on generated scenes? Six classes, on a CPU, from scratch, with a narrow VGG16."""

_base_ = ["./pixelnet_bdd_6cls.py", "./_base_/small/mini.py", "./_base_/small/vgg16.py"]

model = _base_.narrow_model
load_from = None
optim_wrapper = dict(optimizer=dict(_base_.narrow_optimizer, _delete_=True), paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_.small_epochs)

sized = dict(Resize=dict(scale=_base_.small_size_wh))
train_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.val_pipeline]
test_pipeline = [dict(step, **sized.get(step["type"], {})) for step in _base_.test_pipeline]
train_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=train_pipeline))
val_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=val_pipeline))
test_dataloader = dict(_base_.small_loader, dataset=dict(_base_.small_loader.dataset, pipeline=test_pipeline))
