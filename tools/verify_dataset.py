"""Check every file of a data set and count its pixels: python tools/verify_dataset.py ROOT|CONFIG [--out DIR].

Exit code 1 if anything is wrong.
"""

import sys

from mmstreet.cli.verify import main

if __name__ == "__main__":
    sys.exit(main())
