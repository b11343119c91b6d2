"""The recipe of the street-view study, version by version, with its numbers (Man, Leobandung, Jiang, Pan: Streetview Semantics, 2025).

What is v1's applies as it is; a leaf joins what is ``_v2…`` and ``_v3…`` to its model and its data. The study names no optimiser, but its
rates are those of an adaptive one: AdamW. Ours are also v1's rate and epochs, and the fall of the rate to zero by DeepLab's polynomial.
"""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=10, val_interval=1)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-4, weight_decay=1e-4))

_v2_loss = dict(
    type="mmstreet.FocalDiceLoss",
    class_weight=dict(table="bdd100k_sem19", method="inverse", normalize="mean"),
    gamma=2.0,
    dice_weight=0.3,
)
_v2_auxiliary_loss = dict(_v2_loss, loss_weight=0.4)
_v2_optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    constructor="mmstreet.MergedGroupsConstructor",
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=1.0),
)

# Boosts act after the clip here, so that pole's is not undone by it; the study's order is boost_first=True.
_v3_class_weight = dict(_v2_loss["class_weight"], table="street6", boosts=dict(bicycle=3.0, motorcycle=3.0, pole=2.0), clip=(0.1, 10.0))
_v3_loss = dict(_v2_loss, class_weight=_v3_class_weight, gamma=3.0)
_v3_auxiliary_loss = dict(_v3_loss, loss_weight=_v2_auxiliary_loss["loss_weight"])
_v3_batch_size = 4
# Classes 0, 1 and 2 of street6 are the boosted ones: bicycle, motorcycle, pole.
_v3_scale_crop = dict(type="mmstreet.RandomScaleCrop", scale=(0.5, 2.0), fraction=(0.6, 1.0), prefer=(0, 1, 2))
_v3_augment = [  # the study gives no strengths of blur and colour jitter and no size of the holes
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmstreet.ColorJitter"),
    dict(type="mmstreet.RandomGaussianBlur", prob=0.2, sigma_px=(0.1, 1.5)),
    # a hole gets no loss: it may hide a whole bicycle, and nothing in the picture would then say so
    dict(type="RandomCutOut", prob=0.3, n_holes=(1, 4), cutout_ratio=[(0.03, 0.06), (0.05, 0.1)], fill_in=(104, 116, 124), seg_fill_in=255),
    dict(type="mmstreet.PackSegInputs"),
]
