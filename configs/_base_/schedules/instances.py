"""MMDetection's optimiser: SGD at 0.02 for 16 images, scaled to however many there are, with a short warm-up."""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=4, val_interval=1)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.02, momentum=0.9, weight_decay=1e-4))
auto_scale_lr = dict(enable=True, base_batch_size=16)
param_scheduler = [dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=500)]
