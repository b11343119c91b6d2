"""Predict images or videos: python tools/predict.py SOURCE --config CONFIG --checkpoint CHECKPOINT; the same as mmstreet predict."""

import sys

from mmstreet.cli.predict import main

if __name__ == "__main__":
    sys.exit(main())
