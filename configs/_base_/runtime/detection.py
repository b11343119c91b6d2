"""The same for detectors: MMDetection's names, and the checkpoint with the best mask AP."""

_base_ = "./default.py"

default_scope = "mmdet"
default_hooks = dict(checkpoint=dict(save_best="coco/AP"))
visualizer = dict(type="DetLocalVisualizer")
