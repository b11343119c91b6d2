"""Check this installation: versions, clashes, compiled ops, extras, and one short run per task. Exit code 1 if training cannot work."""

import sys

from mmstreet.cli.doctor import main

if __name__ == "__main__":
    sys.exit(main())
