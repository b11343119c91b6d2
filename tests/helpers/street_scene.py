"""A flat street drawn from measures in metres, and objects that stand on it, in the ids of the 19 classes."""

import numpy as np
from hypothesis import strategies as st

from mmstreet.labels import BDD100K_SEM19

HORIZON, CAMERA_HEIGHT, NEAREST = 0.45, 1.5, 4.0
SIZES = (
    (("person", "rider", "bicycle", "motorcycle"), (0.3, 2.0), (0.8, 1.9)),
    (("car", "truck", "bus"), (1.5, 4.5), (1.3, 3.5)),
    (("pole", "fence", "wall", "vegetation", "terrain", "sky"), (0.1, 6.0), (0.5, 4.0)),
)
"""Classes, and the least and greatest width and height in metres that they are drawn with; people also in groups."""
ID = {name: i for i, name in enumerate(BDD100K_SEM19.names)}


def render_street(height=180, width=320, *, road_width=7.0):
    """Sky, a wall of houses, pavement and a road of ``road_width`` metres, seen along its middle."""
    y, x = np.arange(height)[:, None] + 0.5, np.arange(width)[None] + 0.5
    below = y - HORIZON * height
    labels = np.full((height, width), ID["building"], np.uint8)
    labels[: int(0.3 * height)] = ID["sky"]
    labels[np.broadcast_to(below > 0, labels.shape)] = ID["sidewalk"]
    labels[(below > 0) & (np.abs(x - width / 2) <= road_width / 2 / CAMERA_HEIGHT * below)] = ID["road"]
    return labels


def put(labels, name, *, ahead, aside=0.0, size=(0.5, 1.7)):
    """Return the street with a box of class ``name``, ``size`` metres wide and high, ``ahead`` and ``aside`` metres from the camera.

    The nearest road that the camera sees is 4 m ahead.
    """
    height, width = labels.shape
    metre = (1 - HORIZON) * height * NEAREST / ahead / CAMERA_HEIGHT
    foot = HORIZON * height + CAMERA_HEIGHT * metre
    left, right = (width / 2 + (aside + side * size[0] / 2) * metre for side in (-1, 1))
    labels = labels.copy()
    labels[max(0, round(foot - size[1] * metre)) : max(0, round(foot)), max(0, round(left)) : max(0, round(right))] = ID[name]
    return labels


@st.composite
def streets(draw, *, height=180, width=320):
    """Streets with up to six objects of any kind anywhere, and up to one patch that is not labelled."""
    labels = render_street(height, width, road_width=draw(st.floats(4, 12)))
    for _ in range(draw(st.integers(0, 6))):
        name = draw(st.sampled_from([name for names, _, _ in SIZES for name in names]))
        widths, heights = next((widths, heights) for names, widths, heights in SIZES if name in names)
        size = (draw(st.floats(*widths)), draw(st.floats(*heights)))
        labels = put(labels, name, ahead=draw(st.floats(4, 60)), aside=draw(st.floats(-8, 8)), size=size)
    if draw(st.booleans()):
        top, left = draw(st.integers(0, height - 40)), draw(st.integers(0, width - 60))
        labels[top : top + 40, left : left + 60] = 255
    return labels
