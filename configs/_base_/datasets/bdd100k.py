"""BDD100K's 10k images with semantic masks, 7,000 to train on and 1,000 to validate."""

_base_ = "./loaders.py"

files = dict(type="mmstreet.BDD100KSemSeg", data_root="data/bdd100k")
train_dataloader = dict(dataset=files)
val_dataloader = dict(dataset=files)
test_dataloader = val_dataloader
