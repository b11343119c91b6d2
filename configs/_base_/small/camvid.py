"""CamVid in SegNet's 11-class form: 367 frames of 480×360 to train on and 101 to validate, in ``data/camvid11``."""

_base_ = "./resnet18.py"

small_size_wh = (240, 180)
small_epochs = 25
small_loader = dict(num_workers=2, dataset=dict(type="mmstreet.CamVidSemSeg", data_root="data/camvid11"))
small_classes = 11
