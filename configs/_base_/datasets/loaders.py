"""How images are drawn and predictions scored, whatever the data set."""

train_dataloader = dict(
    num_workers=4,
    persistent_workers=True,
    drop_last=True,  # a last batch of one image has no batch statistics
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(split="train"),
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
