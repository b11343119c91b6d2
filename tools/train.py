"""``python tools/train.py ...`` is ``mmstreet train ...``, by OpenMMLab's habit."""

import sys

from mmstreet.cli.commands import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
