"""Does a fully connected CRF, at half resolution and with widths that follow the image, sharpen a coarse prediction?

The weights are DeepLabv2's; poles, signs and people keep their pixels.
"""

refiner = dict(
    type="mmstreet.CRFRefiner", iterations=10, pos_w=3.0, pos_xy=1.0, bi_w=4.0, bi_xy=67.0, bi_rgb=3.0, scale_xy=True, resize=0.5
)
