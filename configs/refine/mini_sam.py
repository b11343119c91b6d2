"""Does a SAM that has learnt the mini set's objects redraw a coarse network's regions better than they were?

The weights are those of ``python benchmarks/train_small_sam.py work_dirs/small_sam``. It was trained with mask prompts, so it gets them.
"""

refiner = dict(
    type="mmstreet.SAMRefiner",
    weights="work_dirs/small_sam",
    source=dict(family="sam"),
    settings=dict(mask_prompt=True, min_area_px=200, min_score=0.6),
)
