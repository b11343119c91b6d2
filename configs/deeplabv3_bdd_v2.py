"""What do class weights, focal and Dice loss, an auxiliary head, two learning rates and clipping add to plain cross entropy?

The improvements of the street-view study over its baseline, with its numbers. The learning rates are those of an adaptive optimiser, which
the study does not name: AdamW.
"""

_base_ = "./deeplabv3_bdd_v1.py"

loss = dict(
    type="mmstreet.FocalDiceLoss",
    class_weight=dict(table="bdd100k_sem19", method="inverse", normalize="mean"),
    gamma=2.0,
    dice_weight=0.3,
)
model = dict(
    decode_head=dict(loss_decode=dict(loss, _delete_=True)),
    auxiliary_head=dict(
        type="mmstreet.TorchvisionFCNHead",
        in_channels=_base_.model.decode_head.in_channels // 2,
        in_index=2,
        num_classes=_base_.model.decode_head.num_classes,
        loss_decode=dict(loss, loss_weight=0.4),
    ),
)
optim_wrapper = dict(
    optimizer=dict(lr=1e-3),
    paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1))),
    clip_grad=dict(max_norm=1.0),
)
