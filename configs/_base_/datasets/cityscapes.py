"""Cityscapes as it is published: fine annotations in labelIds."""

_base_ = "./loaders.py"

files = dict(type="mmstreet.CityscapesSemSeg", data_root="data/cityscapes")
train_dataloader = dict(dataset=files)
val_dataloader = dict(dataset=files)
test_dataloader = val_dataloader
