"""``python tools/test.py ...`` is ``mmstreet test ...``, by OpenMMLab's habit."""

import sys

from mmstreet.cli.commands import main

if __name__ == "__main__":
    sys.exit(main(["test", *sys.argv[1:]]))
