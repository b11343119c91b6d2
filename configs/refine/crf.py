"""Does a fully connected CRF, at half resolution and with widths that follow the image, sharpen a coarse prediction?

Against DeepLabv2's 67 pixels and 3 colour values, which cost fences and pavement, the widths are 30 and 5; they were chosen on 16 training
images of CamVid for two networks: one predicts too few pixels of thin classes, the other too many. Poles and fences stay as the
network predicts them: a smoothness kernel erases or widens what is two pixels wide. Nothing else is protected, so that people, signs and
two-wheelers may lose false alarms. See docs/refinement.md.
"""

refiner = dict(
    type="mmstreet.CRFRefiner",
    iterations=10,
    pos_w=3.0,
    pos_xy=1.0,
    bi_w=4.0,
    bi_xy=30.0,
    bi_rgb=5.0,
    scale_xy=True,
    resize=0.5,
    protect=[],
    freeze="slender",
)
