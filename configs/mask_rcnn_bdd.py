"""What does letting the backbone follow bring? Stage two: stage one's weights, every layer trains, at a tenth of the rate."""

_base_ = [
    "./_base_/models/mask_rcnn_r50.py",
    "./_base_/data/bdd100k_instances.py",
    "./_base_/schedules/instances_all.py",
    "./_base_/runtime/detection.py",
]

_variant_of = "mask_rcnn_bdd_heads"

load_from = f"work_dirs/mask_rcnn_bdd_heads/epoch_{_base_._heads_epochs}.pth"
