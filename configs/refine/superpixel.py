"""Do superpixels, which need no weights, straighten the borders of a coarse prediction without erasing thin things?

The classes are those of the model and are handed over when the refiner is built:
``REFINERS.build(cfg.refiner, default_args=dict(classes=names))``.
"""

refiner = dict(
    type="mmstreet.VoteRefiner", source=dict(type="mmstreet.SuperpixelMasks", area_px=60, compactness=20.0, sigma_px=1.0), purity=0.5
)
