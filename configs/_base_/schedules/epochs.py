"""Ten epochs with a validation after each; the learning rate falls to zero by DeepLab's polynomial, over however many epochs are set."""

train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=10, val_interval=1)
val_cfg = dict(type="ValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0, by_epoch=True, convert_to_iter_based=True)]
