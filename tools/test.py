"""Test a checkpoint: python tools/test.py CONFIG CHECKPOINT [--out DIR] [--cfg-options KEY=VALUE ...].

Prints the table of classes and writes metrics.json, per_class.csv, per_image.csv, confusion_matrix.png, class_iou.png and worst.png.
With --splits train val: each split in a folder of its own, and results.html about both.
On several processes: torchrun --nproc_per_node=2 tools/test.py CONFIG CHECKPOINT.
"""

from mmstreet.cli.test import main

if __name__ == "__main__":
    main()
