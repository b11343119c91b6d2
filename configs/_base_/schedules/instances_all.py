"""Stage two: twelve epochs at a tenth of the rate, which falls tenfold after the eighth and the eleventh."""

_base_ = "./instances.py"

_heads_epochs = _base_.train_cfg.max_epochs
_heads_lr = _base_.optim_wrapper.optimizer.lr
train_cfg = dict(max_epochs=12)
optim_wrapper = dict(optimizer=dict(lr=_heads_lr / 10))
param_scheduler = [*_base_.param_scheduler, dict(type="MultiStepLR", by_epoch=True, milestones=[8, 11], gamma=0.1)]
