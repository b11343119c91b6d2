"""How well does a perceptron name single pixels of Cityscapes from 2,000 of them per image?

PixelNet (Bansal et al., 2017) as in a study on Cityscapes that reports a mean IoU of 73.95 % on the training and 43.2 % on the validation
images, there 59.2 % weighted by pixels and 69.9 % over the seven categories. It names VGG16 with ImageNet weights, 19 classes and the 2:1
format; batch, rate and sample are the paper's, 1024×512, colour jitter and number of epochs ours where the two say nothing.
"""

_base_ = [
    "./_base_/models/pixelnet_vgg16.py",
    "./_base_/datasets/cityscapes.py",
    "./_base_/schedules/pixelnet.py",
    "./_base_/runtime.py",
]

resize = dict(type="Resize", scale=(1024, 512), keep_ratio=False)
load_labels = dict(type="mmstreet.LoadLabels", unlisted="ignore")  # labelIds hold classes that are not evaluated
train_pipeline = [
    dict(type="mmstreet.LoadImage"),
    load_labels,
    resize,
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [dict(type="mmstreet.LoadImage"), resize, load_labels, dict(type="PackSegInputs")]
train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
