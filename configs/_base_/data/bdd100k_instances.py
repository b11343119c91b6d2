"""BDD100K's 10k images with instance masks, 7,000 to train on and 1,000 to validate, straight from the published run-length JSON.

Without the flip these are the steps for testing: the labels travel beside the image to the metric.
"""

_load_image = dict(type="mmstreet.LoadImage")
_load_objects = [dict(_load_image, on_broken="skip"), dict(type="LoadAnnotations", with_bbox=True, with_mask=True)]
_flip = dict(type="RandomFlip", prob=0.5)
_letterbox = dict(type="mmstreet.Letterbox", size_hw=(1024, 1024))
_pack = dict(type="PackDetInputs")
_pack_test = dict(
    _pack, meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "instances", "weather", "scene", "timeofday")
)
train_pipeline = [*_load_objects, _flip, _letterbox, _pack]
test_pipeline = [_load_image, _letterbox, _pack_test]

train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="mmstreet.BDD100KInsSeg",
        data_root="data/bdd100k",
        ann_file="labels/ins_seg/rles/ins_seg_train.json",
        data_prefix=dict(img="images/10k/train"),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(
        type="mmstreet.BDD100KInsSeg",
        data_root="data/bdd100k",
        ann_file="labels/ins_seg/rles/ins_seg_val.json",
        data_prefix=dict(img="images/10k/val"),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="mmstreet.BDD100KInsMetric")
test_evaluator = dict(type="mmstreet.BDD100KInsMetric", by=("weather", "timeofday"))
