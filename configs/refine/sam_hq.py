"""Does SAM-HQ, made for thin structures, refine more than SAM?"""

_base_ = "./sam.py"

refiner = dict(weights="syscv-community/sam-hq-vit-base", source=dict(family="sam_hq"))
