"""``mmstreet COMMAND ...``, the same as ``python -m mmstreet COMMAND ...``."""

import sys

from mmstreet.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
