"""For a CPU: 400 iterations of AdamW, with two validations."""

train_cfg = dict(type="IterBasedTrainLoop", max_iters=400, val_interval=200)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=1e-4, by_epoch=False)]
