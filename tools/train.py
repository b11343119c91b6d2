"""Train a config: python tools/train.py CONFIG [--resume [CHECKPOINT]] [--amp] [--work-dir DIR] [--cfg-options KEY=VALUE ...].

On several processes: torchrun --nproc_per_node=2 tools/train.py CONFIG (see docs/distributed.md).
"""

from mmstreet.cli.train import main

if __name__ == "__main__":
    main()
