"""The same for training by iterations: a checkpoint every 2,000, as often as the schedules validate."""

_base_ = "./default.py"

default_hooks = dict(checkpoint=dict(interval=2000, by_epoch=False))
log_processor = dict(by_epoch=False)
