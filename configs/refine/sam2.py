"""Does SAM 2.1 refine more than SAM?"""

_base_ = "./sam.py"

refiner = dict(weights="facebook/sam2.1-hiera-small", source=dict(family="sam2"))
