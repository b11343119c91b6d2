"""One rate for all layers of a network from scratch, with AdamW, over as many epochs as the leaf says."""

train_cfg = dict(type="EpochBasedTrainLoop", val_interval=1)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4), paramwise_cfg=None)
