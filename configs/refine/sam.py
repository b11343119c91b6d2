"""Do the contours that SAM draws around a network's regions beat the network's own?

``weights`` may also be a folder, for machines without network.
"""

refiner = dict(
    type="mmstreet.SAMRefiner",
    weights="facebook/sam-vit-base",
    strategy="prompts",
    source=dict(family="sam"),
    settings=dict(fusion="logits", beta=2.0, min_score=0.7, min_iou=0.5, area_ratio=(0.5, 2.0)),
)
