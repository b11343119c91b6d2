"""What does letting the backbone follow bring? Stage two: stage one's weights, every layer trains, at a tenth of the rate."""

_base_ = "./mask_rcnn_bdd_heads.py"

model = dict(backbone=dict(frozen_stages=-1))
load_from = f"work_dirs/mask_rcnn_bdd_heads/epoch_{_base_.train_cfg.max_epochs}.pth"

train_cfg = dict(max_epochs=12)
optim_wrapper = dict(optimizer=dict(lr=_base_.optim_wrapper.optimizer.lr / 10))
param_scheduler = [*_base_.param_scheduler, dict(type="MultiStepLR", by_epoch=True, milestones=[8, 11], gamma=0.1)]
