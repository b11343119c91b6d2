"""Does the street-view study's first loss, Dice plus cross entropy, give the score that it reports, on a split of the same size?

The study reports 41.56 % mIoU after nine epochs, on 1,600 of 8,000 images that it kept from training, with a loss that its later versions
replace. It publishes no lists; ``mmstreet split data/bdd100k`` makes ours. Against v2: the loss, the split, the epochs.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_bdd_v2"

_loss = dict(_base_._v2_loss, gamma=0.0, dice_weight=1.0)  # focal loss without focus is cross entropy
model = dict(
    decode_head=dict(loss_decode=dict(_loss, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, loss_decode=dict(_loss, loss_weight=_base_._v2_auxiliary_loss.loss_weight)),
)
optim_wrapper = _base_._v2_optim_wrapper
train_cfg = dict(max_epochs=9)

train_dataloader = dict(dataset=dict(ann_file="splits/train.txt"))
val_dataloader = dict(dataset=dict(ann_file="splits/val.txt"))
test_dataloader = val_dataloader
