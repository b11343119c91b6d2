"""The same for detectors: MMDetection's names, and the checkpoint with the best mask AP."""

_base_ = "./default.py"

default_scope = "mmdet"
env_cfg = dict(cudnn_benchmark=False)  # each step has another number of regions, and cuDNN would try its algorithms anew for each
default_hooks = dict(checkpoint=dict(save_best="coco/AP"))
visualizer = dict(type="DetLocalVisualizer")
