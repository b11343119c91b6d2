"""How well does a perceptron name single pixels of Cityscapes from 2,000 of them per image?

PixelNet (Bansal et al., 2017) as in a study on Cityscapes that reports a mean IoU of 73.95 % on the training and 43.2 % on the validation
images, and there 59.2 % and 69.9 %, in our reading weighted by pixels and over
the seven categories. It names VGG16 with ImageNet weights, 19 classes and the 2:1
format; batch, rate and sample are the paper's, 1024×512, colour jitter and number of epochs ours where the two say nothing.
"""

_base_ = [
    "./_base_/models/pixelnet_vgg16.py",
    "./_base_/data/cityscapes.py",
    "./_base_/schedules/pixelnet.py",
    "./_base_/runtime/default.py",
]

train_pipeline = [
    _base_._load_image,
    _base_._load_labels,
    _base_._resize,
    dict(type="RandomFlip", prob=0.5),
    dict(type="mmstreet.ColorJitter"),
    _base_._pack,
]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
