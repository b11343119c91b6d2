"""What does a tenth of the rate bring after stage one? Stage two on generated scenes, on a CPU."""

_base_ = [
    "./_base_/models/mask_rcnn_small.py",
    "./_base_/data/mini_instances.py",
    "./_base_/schedules/instances_small.py",
    "./_base_/runtime/detection.py",
]

_variant_of = "mask_rcnn_mini_heads"

load_from = f"work_dirs/mask_rcnn_mini_heads/epoch_{_base_.train_cfg.max_epochs}.pth"
optim_wrapper = dict(optimizer=dict(lr=_base_._all_lr))
param_scheduler = []
train_cfg = _base_._all_train_cfg
