"""Data that a data.yaml describes; until one is given, there is none."""

_base_ = "./loaders.py"

_files = dict(type="mmstreet.StreetSemSeg", data_root="data.yaml", table="cityscapes19")
train_dataloader = dict(dataset=_files)
val_dataloader = dict(dataset=_files)
test_dataloader = val_dataloader
