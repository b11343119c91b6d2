"""Do twice the resolution, a harder focus, heavier weights and strong augmentation bring back the thin and rare ones of six classes?

The targeted version of the street-view study, with its numbers, after v2_6cls failed. Against v2: six classes, by remapping; crops of
1024×512 in half the batch; gamma 3; boosted and clipped weights; scale, crop, blur, colour and holes. Epochs and optimiser are v2's.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k_six.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_bdd_v2"

model = dict(
    decode_head=dict(num_classes=6, loss_decode=dict(_base_._v3_loss, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, num_classes=6, loss_decode=_base_._v3_auxiliary_loss),
)
optim_wrapper = _base_._v2_optim_wrapper

_crop = dict(_base_._v3_scale_crop, size_hw=_base_._crop_hw)
train_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_classes, _crop, *_base_._v3_augment]
train_dataloader = dict(batch_size=_base_._v3_batch_size, dataset=dict(pipeline=train_pipeline))
