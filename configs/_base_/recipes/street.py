"""The recipe ``street`` for small pretrained networks: what thin and rare classes need, at the images' own size.

Loss, crops and rates are those of the first run that found poles on CamVid; ``benchmarks/thin_classes.py`` measures what else helps.
"""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=36, val_interval=4)
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=True, convert_to_iter_based=True)]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-2),
    constructor="mmstreet.MergedGroupsConstructor",
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.3)), norm_decay_mult=0.0),
    clip_grad=dict(max_norm=1.0),
)
# The weights that are validated and saved are a mean over the last tenth of the iterations so far, about 500 at most.
_ema = dict(type="EMAHook", ema_type="MomentumAnnealingEMA", momentum=0.002, gamma=10, update_buffers=True)

_street_loss = dict(type="mmstreet.FocalDiceLoss", gamma=1.0, dice_weight=0.5)
_street_class_weight = dict(method="sqrt_inverse")
# At scale 1 the whole image fits into the crop: crops of 352x256 show an image of 480x360 at 0.57 to 1.9 times its size.
_street_crop = dict(type="mmstreet.RandomScaleCrop", scale=(0.8, 2.7), fraction=(0.37, 0.37))
_street_augment = [
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmstreet.ColorJitter", brightness_delta=32, contrast_range=(0.6, 1.4), saturation_range=(0.6, 1.4), hue_delta=10),
    dict(type="mmstreet.PackSegInputs"),
]
