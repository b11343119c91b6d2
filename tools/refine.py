"""Refine saved predictions: python tools/refine.py IMAGES PREDICTIONS --refine CONFIG --out DIR [--classes TABLE] [--cache DIR].

Resumable; over several processes: torchrun --nproc_per_node=2 tools/refine.py …, or the tasks of a Slurm array.
"""

import sys

from mmstreet.cli.refine import main

if __name__ == "__main__":
    sys.exit(main())
