"""How good are new heads on COCO's features? Stage one: everything but the backbone learns eight classes.

From the study of instance segmentation on BDD100K: COCO's weights without the box classifier and the mask predictor, images
letterboxed to 1024×1024, boxes from the masks. The study gives neither epochs nor rates; four epochs at MMDetection's rate are ours.
Both stages: ``mmstreet train configs/mask_rcnn_bdd_heads.py --then configs/mask_rcnn_bdd.py``.
"""

_base_ = [
    "./_base_/models/mask_rcnn_r50.py",
    "./_base_/data/bdd100k_instances.py",
    "./_base_/schedules/instances.py",
    "./_base_/runtime/detection.py",
]

model = dict(backbone=dict(frozen_stages=4))
