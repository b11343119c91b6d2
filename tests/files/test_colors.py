import numpy as np

from mmstreet.files.colors import check_palette, colorize, spread_palette


def test_every_id_gets_its_own_colour():
    labels = np.array([[0, 1], [2, 255]], np.uint8)
    assert colorize(labels, [(1, 2, 3), (4, 5, 6)]).tolist() == [[[1, 2, 3], [4, 5, 6]], [[64, 64, 64], [0, 0, 0]]]
    moved = colorize(labels.astype(np.int64), [(1, 2, 3)] * 2, ignore_index=2, ignored=(9, 9, 9), no_class=(7, 7, 7))
    assert moved[1].tolist() == [[9, 9, 9], [7, 7, 7]]


def test_spread_colours_are_distinct_and_never_black():
    colors = np.array(spread_palette(30))
    assert len(np.unique(colors, axis=0)) == 30
    assert colors.max(1).min() > 100


def test_a_palette_of_another_length_is_replaced():
    assert check_palette([(1, 2, 3)], 1).tolist() == [[1, 2, 3]]
    assert check_palette([(1, 2, 3)], 2).tolist() == spread_palette(2)
    assert check_palette(None, 0).shape == (0, 3)
