"""The colour jitter draws what MMSegmentation's draws, and does what it does, in 8 bits."""

import colorsys
from itertools import product

import cv2
import numpy as np
import pytest
from mmengine.registry import TRANSFORMS
from mmseg.datasets.transforms import PhotoMetricDistortion

from mmstreet.transforms.color_jitter import ColorChange, ColorJitter, change_colors, scale_table

STREET = dict(brightness_delta=32, contrast_range=(0.6, 1.4), saturation_range=(0.6, 1.4), hue_delta=10)


def picture(seed=0, hw=(36, 64)):
    rng = np.random.default_rng(seed)
    return cv2.resize(rng.integers(0, 256, (9, 16, 3), np.uint8), hw[::-1], interpolation=cv2.INTER_CUBIC)


def seeded(step, seed, image):
    np.random.seed(seed)  # noqa: NPY002 - what the transforms draw from
    out = step(dict(img=image.copy()))["img"]
    return out, np.random.uniform()  # noqa: NPY002


@pytest.mark.parametrize("settings", [{}, STREET])
def test_pixels_and_draws_are_those_of_photometric_distortion_after_the_same_seed(settings):
    ours, theirs, image = ColorJitter(**settings), PhotoMetricDistortion(**settings), picture()
    equal, far = 0, []
    for seed in range(300):
        (a, state_a), (b, state_b) = seeded(ours, seed, image), seeded(theirs, seed, image)
        assert state_a == state_b
        np.random.seed(seed)  # noqa: NPY002
        drawn = ours.sample_change()
        if drawn.saturation is None or drawn.hue is None:
            np.testing.assert_array_equal(a, b)
            equal += 1
        else:
            far.append(np.abs(a.astype(int) - b))
    assert 190 < equal < 260  # three quarters of 300, standard deviation 7.5
    # theirs rounds to BGR and back once more: a hue is two degrees, and one level of a dark pixel is many
    assert max(difference.max() for difference in far) <= 8
    assert np.mean(far) < 0.7


def test_the_one_way_through_hsv_is_nearer_to_exact_colours_than_two_ways():
    image, change = picture(3), ColorChange(saturation=1.3, hue=7)
    blue_green_red = image.reshape(-1, 3) / 255
    exact = []
    for b, g, r in blue_green_red:
        h, s, v = colorsys.rgb_to_hsv(r, g, b)
        exact.append(colorsys.hsv_to_rgb((h + 7 / 180) % 1, min(1, 1.3 * s), v)[::-1])
    exact = 255 * np.array(exact).reshape(image.shape)
    once = change_colors(image, change)
    twice = change_colors(change_colors(image, ColorChange(saturation=1.3)), ColorChange(hue=7))
    assert np.abs(once - exact).mean() < np.abs(twice - exact).mean() < 2


def test_each_step_is_done_in_its_order():
    image = picture(1)
    for has_brightness, has_contrast, has_hue, contrast_last in product((False, True), repeat=4):
        change = ColorChange(20.5 if has_brightness else None, 1.375 if has_contrast else None, None, 5 if has_hue else None, contrast_last)
        want = image.astype(np.float64)
        steps = [("brightness", has_brightness), ("contrast", has_contrast), ("hue", has_hue)]
        for step, is_on in [steps[0], *(steps[:0:-1] if contrast_last else steps[1:])]:
            if not is_on:
                continue
            if step == "hue":
                hsv = cv2.cvtColor(want.astype(np.uint8), cv2.COLOR_BGR2HSV).astype(int)
                hsv[..., 0] = (hsv[..., 0] + 5) % 180
                want = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR).astype(np.float64)
            else:
                want = np.floor(np.clip(want + 20.5 if step == "brightness" else want * 1.375, 0, 255))
        np.testing.assert_array_equal(change_colors(image, change), want)


def test_tables_are_cut_off_at_both_ends():
    assert scale_table(offset=-10.0)[[0, 10, 11, 255]].tolist() == [0, 0, 1, 245]
    assert scale_table(factor=1.5)[[0, 1, 170, 171]].tolist() == [0, 1, 255, 255]
    assert scale_table() is None


@pytest.mark.parametrize("mirrored", [np.s_[:, ::-1], np.s_[::-1], np.s_[::-1, ::-1], np.s_[:, 3:]])
def test_views_are_jittered_as_copies_are_and_never_written_to(mirrored):
    image, before = picture(2), picture(2)
    for seed in range(20):
        (a, _), (b, _) = seeded(ColorJitter(), seed, image[mirrored]), seeded(ColorJitter(), seed, image[mirrored].copy())
        np.testing.assert_array_equal(a, b)
        np.random.seed(seed)  # noqa: NPY002
        out = ColorJitter()(dict(img=image[mirrored]))["img"]
        assert out.flags.c_contiguous
    np.testing.assert_array_equal(image, before)


def test_no_change_at_all_is_possible():
    step = ColorJitter(brightness_delta=0, contrast_range=(1, 1), saturation_range=(1, 1), hue_delta=0)
    grey = np.full((4, 5, 3), 90, np.uint8)
    for seed in range(10):
        np.testing.assert_array_equal(seeded(step, seed, grey)[0], grey)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (dict(brightness_delta=-1), "brightness_delta"),
        (dict(hue_delta=91), "hue_delta"),
        (dict(hue_delta=1.5), "whole number"),
        (dict(contrast_range=(1.5, 0.5)), "contrast_range"),
        (dict(saturation_range=(-1, 2)), "saturation_range"),
    ],
)
def test_settings_out_of_range_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        TRANSFORMS.build(dict(type="mmstreet.ColorJitter", **settings))


@pytest.mark.parametrize("image", [np.zeros((4, 5, 3), np.float32), np.zeros((4, 5), np.uint8), np.zeros((4, 5, 4), np.uint8)])
def test_other_images_than_8_bit_bgr_are_refused(image):
    with pytest.raises(ValueError, match=r"needs a BGR image, uint8 \[H, W, 3\]"):
        ColorJitter()(dict(img=image))
