"""What does a tenth of the rate bring after stage one? Stage two on generated scenes, on a CPU."""

_base_ = "./mask_rcnn_mini_heads.py"

load_from = f"work_dirs/mask_rcnn_mini_heads/epoch_{_base_.small_epochs[0]}.pth"
optim_wrapper = dict(optimizer=dict(lr=_base_.optim_wrapper.optimizer.lr / 10))
param_scheduler = []
train_cfg = dict(max_epochs=_base_.small_epochs[1], val_interval=_base_.small_epochs[1])
