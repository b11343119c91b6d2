"""PixelNet's optimiser: 80 epochs of SGD, biases at twice the rate and, like the norms, without decay.

The paper divides the rate by ten once near the end; here it falls by the polynomial of every other config.
"""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=80, val_interval=1)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=1e-3, momentum=0.9, weight_decay=5e-4),
    constructor="mmstreet.MergedGroupsConstructor",
    paramwise_cfg=dict(bias_lr_mult=2, bias_decay_mult=0, norm_decay_mult=0),
)
