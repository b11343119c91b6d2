"""Are boxes that Grounding DINO finds by class name better questions to SAM than the network's own regions?

Detections of a class that the network has not seen in the box are refused: a refiner does not invent objects.
"""

refiner = dict(
    type="mmstreet.PromptRefiner",
    source=dict(type="mmstreet.SAMMasks", weights="facebook/sam-vit-base", family="sam"),
    detector=dict(type="mmstreet.GroundingDINOBoxes", weights="IDEA-Research/grounding-dino-tiny", min_score=0.3),
    min_score=0.7,
    min_iou=0.3,
    area_ratio=(0.33, 3.0),
)
