"""How images with image-level labels are sampled and validation is scored, whatever the data set. No annotated mask is read in training."""

_load_image = dict(type="mmstreet.LoadImage")
_load_labels = dict(type="mmstreet.LoadLabels")  # pseudo-masks in training
_flip = dict(type="RandomFlip", prob=0.5)
_pack = dict(type="mmstreet.PackSegInputs")
_pack_weak = dict(_pack, meta_keys=("img_path", "ori_shape", "img_shape", "pad_shape", "scale_factor", "flip", "img_label"))

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type="InfiniteSampler", shuffle=True),
    dataset=dict(split="train", image_labels="image_labels_train.json"),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(split="val", test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmstreet.StreetIoUMetric")
test_evaluator = val_evaluator
