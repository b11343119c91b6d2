import numpy as np

from mmstreet.files.legend import MIN_WIDTH_PX, add_legend, render_legend

COLORS = {"road 61.0 %": (128, 64, 128), "sky 20.5 %": (70, 130, 180), "traffic light 0.4 %": (250, 170, 30)}


def colored(picture, color):
    return (picture == color).all(2)


def test_every_colour_stands_below_the_picture_which_stays_as_it_is():
    picture = np.full((90, 640, 3), 50, np.uint8)
    drawn = add_legend(picture, COLORS)
    np.testing.assert_array_equal(drawn[:90], picture)
    assert drawn.shape[0] % 2 == 0
    lefts = [np.nonzero(colored(drawn[90:], color))[1].min() for color in COLORS.values()]
    assert lefts == sorted(lefts)
    counts = [colored(drawn[90:], color).sum() for color in COLORS.values()]
    assert min(counts) > 60
    assert max(counts) - min(counts) < 10, "boxes of one size"


def test_what_does_not_fit_into_a_line_begins_a_new_one():
    many = {f"class number {i}": (i, 255 - i, 77) for i in range(20)}
    narrow, wide = render_legend(many, width_px=320), render_legend(many, width_px=2000)
    assert (narrow.shape[1], wide.shape[1]) == (320, 2000)
    for color in many.values():
        assert colored(narrow, color).any()
    rows = {np.nonzero(colored(narrow, color))[0].min() for color in many.values()}
    assert len(rows) > 5


def test_tiny_pictures_and_empty_legends_get_none():
    picture = np.zeros((9, MIN_WIDTH_PX - 1, 3), np.uint8)
    assert add_legend(picture, COLORS) is picture
    assert render_legend({}, width_px=640) is None
