"""Does a SAM that has learnt the mini set's regions improve the contours of a coarse network's regions?

The weights are those of ``python -m benchmarks.train_small_sam work_dirs/small_sam``, which has learnt regions of every class. So it is
asked about every class; the gates are the defaults.
"""

refiner = dict(
    type="mmstreet.SAMRefiner",
    weights="work_dirs/small_sam",
    source=dict(family="sam"),
    settings=dict(prompt_classes="all"),
)
