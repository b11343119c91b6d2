"""Export a segmentor: python tools/export.py CONFIG CHECKPOINT [--format onnx|torchscript]; the same as mmstreet export."""

import sys

from mmstreet.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
