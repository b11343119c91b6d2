"""How far does a small Mask R-CNN get from scratch on a CPU? Stage one on generated scenes.

Features of random weights are nothing to protect, so here the backbone trains in stage one as well; what remains of the two
stages is the tenfold lower rate of the second.
"""

_base_ = [
    "./_base_/models/mask_rcnn_small.py",
    "./_base_/data/mini_instances.py",
    "./_base_/schedules/instances_small.py",
    "./_base_/runtime/detection.py",
]
