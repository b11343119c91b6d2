"""The generated street scenes, in BDD100K's layout and classes: ``python tools/make_mini_dataset.py data/mini``."""

_base_ = "./resnet18.py"

small_size_wh = (256, 128)
small_epochs = 5
small_loader = dict(num_workers=2, dataset=dict(data_root="data/mini"))
