"""Do resolution, focus, weights and augmentation bring back thin and rare classes on generated scenes? v3 on a CPU, from scratch."""

_base_ = [
    "./_base_/models/deeplabv3_small.py",
    "./_base_/data/mini_six.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_mini_v2"

model = dict(
    decode_head=dict(num_classes=6, loss_decode=dict(_base_._v3_loss, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, num_classes=6, loss_decode=_base_._v3_auxiliary_loss),
)
optim_wrapper = dict(_base_._v2_optim_wrapper, paramwise_cfg=None)
train_cfg = dict(max_epochs=_base_._small_epochs)

_crop = dict(_base_._v3_scale_crop, size_hw=_base_._crop_hw)
train_pipeline = [_base_._load_image, _base_._load_labels, _base_._six_classes, _crop, *_base_._v3_augment]
train_dataloader = dict(batch_size=_base_._v3_batch_size, dataset=dict(pipeline=train_pipeline))
