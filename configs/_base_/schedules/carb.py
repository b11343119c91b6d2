"""SGD by iterations, the learning rate falling by a polynomial to 1e-4; a validation and a checkpoint every 2,000."""

train_cfg = dict(type="IterBasedTrainLoop", max_iters=30000, val_interval=2000)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=5e-3, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-4, by_epoch=False)]
