"""How much does SAM 2 add to the second study's FCN? Its best system: the network finds the classes, SAM 2 draws the contours.

It trains like ``fcn_cityscapes``; a test scores the network alone and with SAM 2. The study gives neither settings for SAM 2 nor numbers.
"""

_base_ = ["./fcn_cityscapes.py", "./refine/sam2.py"]
