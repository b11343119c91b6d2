"""Lookup tables and crop windows against hand arithmetic and the obvious loop."""

import numpy as np
import pytest

from mmstreet.transforms.functional import OUTSIDE, apply_lut, build_remap_lut, first_outside, offset_range, window_shape

RNG = np.random.default_rng(0)


def test_a_table_sends_listed_ids_to_their_target_and_the_rest_where_it_says():
    lut = build_remap_lut({0: 2, 3: 2, 4: 0}, num_source=5, unlisted=7)
    assert lut[:5].tolist() == [2, 7, 7, 2, 0]
    assert (lut[5:255] == OUTSIDE).all()
    assert lut[255] == 255


@pytest.mark.parametrize("pairs", [{5: 0}, {-1: 0}, {0: 254}, {0: -1}])
def test_ids_that_do_not_fit_are_refused(pairs):
    with pytest.raises(ValueError, match=r"id -?[0-9]+ is"):
        build_remap_lut(pairs, num_source=5)


@pytest.mark.parametrize("shape", [(37, 53), (1, 1), (0, 4)])
def test_applying_a_table_equals_a_loop_over_pixels(shape):
    labels, lut = RNG.integers(0, 256, shape, np.uint8), RNG.integers(0, 256, 256, np.uint8)
    before = labels.copy()
    expected = np.array([[lut[value] for value in row] for row in labels], np.uint8).reshape(shape)
    mapped = apply_lut(labels, lut)
    np.testing.assert_array_equal(mapped, expected)
    assert mapped.dtype == np.uint8
    np.testing.assert_array_equal(labels, before)


def test_a_flipped_view_is_mapped_like_a_copy():
    labels, lut = RNG.integers(0, 256, (5, 8), np.uint8), RNG.integers(0, 256, 256, np.uint8)
    np.testing.assert_array_equal(apply_lut(labels[:, ::-1], lut), lut[labels[:, ::-1]])


def test_the_result_can_be_written_to():
    mapped = apply_lut(np.zeros((2, 2), np.uint8), np.zeros(256, np.uint8))
    mapped[0, 0] = 9
    assert mapped[0, 0] == 9


def test_other_types_and_sizes_are_refused():
    with pytest.raises(TypeError, match="must be uint8, not int64"):
        apply_lut(np.zeros((2, 2), np.int64), np.zeros(256, np.uint8))
    with pytest.raises(ValueError, match="256 entries"):
        apply_lut(np.zeros((2, 2), np.uint8), np.zeros(19, np.uint8))


def test_the_first_id_outside_is_found_in_reading_order():
    labels = np.zeros((4, 5), np.uint8)
    labels[2, 4] = labels[3, 0] = 9
    labels[3, 1] = 8
    mapped = apply_lut(labels, build_remap_lut({0: 0}, num_source=2))
    assert first_outside(labels, mapped) == (9, 2, 4, 2)
    assert first_outside(labels[:2], mapped[:2]) is None


@pytest.mark.parametrize(
    ("image_hw", "size_hw", "fraction", "expected"),
    [
        ((720, 1280), (512, 1024), 1.0, (640, 1280)),  # the largest 2:1 window
        ((720, 1280), (512, 1024), 0.8, (512, 1024)),
        ((720, 1280), (512, 1024), 0.6, (432, 768)),  # 0.6 x 640 = 384 would be below 60 % of 720 = 432
        ((360, 480), (360, 480), 0.75, (270, 360)),
        ((1280, 720), (512, 1024), 1.0, (768, 720)),  # upright: 360 would be below 60 % of 1280
        ((3, 3), (512, 1024), 0.6, (2, 2)),
    ],
)
def test_a_window_has_the_networks_aspect_ratio_within_its_bounds(image_hw, size_hw, fraction, expected):
    assert window_shape(image_hw, size_hw, zoom=1e6, fraction=fraction, fraction_min=0.6) == expected


@pytest.mark.parametrize(
    ("zoom", "expected"),
    [
        (0.5, (720, 1280)),  # 1024 x 2048 fit, the image has less
        (512 / 720, (720, 1280)),  # 720 x 1440 fit
        (0.8, (640, 1280)),
        (1.0, (512, 1024)),
        (1.2, (432, 853)),  # 427 x 853 fit, but 60 % of 720 are 432
        (2.0, (432, 768)),
    ],
)
def test_a_window_grows_to_what_fits_at_this_zoom(zoom, expected):
    assert window_shape((720, 1280), (512, 1024), zoom=zoom, fraction=0.6, fraction_min=0.6) == expected


def test_offsets_are_those_at_which_the_window_fits_and_covers_the_anchor():
    for length in range(1, 9):
        for window in range(1, length + 1):
            for anchor in [None, *range(length)]:
                fitting = [o for o in range(length) if o + window <= length and (anchor is None or o <= anchor < o + window)]
                assert offset_range(length, window, anchor) == (fitting[0], fitting[-1])
