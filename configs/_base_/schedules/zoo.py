"""80,000 iterations, as the official model zoo of BDD100K trains; ``_sgd`` for convolutional networks, ``_adamw`` for transformers."""

train_cfg = dict(type="IterBasedTrainLoop", max_iters=80000, val_interval=2000)
_sgd = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4))
_sgd_schedule = [dict(type="PolyLR", power=0.9, eta_min=1e-4, by_epoch=False)]
_adamw = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=6e-5, weight_decay=0.01),
    constructor="mmstreet.MergedGroupsConstructor",
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
_warm_up_iters = 1500
_adamw_schedule = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=_warm_up_iters),
    dict(type="PolyLR", power=1.0, eta_min=0, by_epoch=False, begin=_warm_up_iters),
]
