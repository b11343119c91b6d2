"""What pytest collects: without MMDetection, modules that import it have no doctests to run."""

from mmstreet.deps import installed

collect_ignore = []
if not installed("mmdet"):
    collect_ignore = [
        "mmstreet/datasets/ins_seg.py",
        "mmstreet/evaluation/image_inspector.py",
        "mmstreet/evaluation/instance_inspection.py",
    ]
