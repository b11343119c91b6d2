"""Augmentation keeps labels on their pixels, stays within its ranges, and repeats from numpy's random state alone."""

import random

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

HW = (90, 160)


def build(name, **settings):
    return TRANSFORMS.build(dict(type=f"mmstreet.{name}", **settings))


def sample(hw=HW, labels=None):
    """An image whose grey value is ten times the label: four upright stripes per row of blocks."""
    y, x = np.mgrid[: hw[0], : hw[1]]
    labels = (((y * 3 // hw[0]) * 7 + x * 8 // hw[1]) if labels is None else labels).astype(np.uint8)
    image = np.repeat((labels * 10)[..., None], 3, 2)
    return dict(img=image, gt_seg_map=labels, seg_fields=["gt_seg_map"], img_shape=hw, ori_shape=hw)


def draws(step, count, make=sample):
    np.random.seed(0)  # noqa: NPY002 - what mmengine seeds
    return [step(make()) for _ in range(count)]


@pytest.mark.parametrize("size_hw", [(64, 128), (128, 128), (45, 160)])
def test_every_draw_has_the_networks_size_and_255_beyond_the_image(size_hw):
    for results in draws(build("RandomScaleCrop", size_hw=size_hw, fill_bgr=(1, 2, 3)), 50):
        assert results["img"].shape == (*size_hw, 3)
        assert results["gt_seg_map"].shape == size_hw
        padded = (results["img"] == (1, 2, 3)).all(-1)
        np.testing.assert_array_equal(results["gt_seg_map"] == 255, padded)
        used = ~padded
        assert used.sum() == used.any(1).sum() * used.any(0).sum()  # one rectangle


@pytest.mark.parametrize("beyond", [np.s_[37:, :], np.s_[:, 101:]])
def test_labels_stay_on_their_pixels(beyond):
    def edge():
        labels = np.zeros(HW, np.uint8)
        labels[beyond] = 20
        return sample(labels=labels)

    for results in draws(build("RandomScaleCrop", size_hw=(64, 128)), 100, edge):
        labels, image = results["gt_seg_map"], results["img"][..., 0]
        inside = labels != 255
        # an interpolated edge passes half of its height where the label changes; exactly half may go either way
        sure = inside & (abs(image.astype(int) - 100) > 2)
        np.testing.assert_array_equal(labels[sure] > 0, image[sure] > 100)


def test_scale_and_window_stay_within_their_ranges():
    step = build("RandomScaleCrop", size_hw=(64, 128), scale=(0.5, 2.0), fraction=(0.6, 1.0))
    fit = 64 / 90  # the whole 160x90 image just fits into 128x64 at this factor
    factors = np.array([results["scale_factor"] for results in draws(step, 400)])
    assert factors.min() >= 0.5 * fit * 0.97  # sides are rounded to whole pixels
    assert factors.max() <= fit / 0.6 * 1.03  # the smallest window has 60 % of the height
    assert np.quantile(factors, 0.02) < 0.6 * fit
    assert factors.max() > fit / 0.6 * 0.97
    # the aspect ratio is kept to within the rounding of a side
    assert abs(factors[:, 0] / factors[:, 1] - 1).max() < 0.05


def test_a_fixed_scale_and_window_do_what_hand_arithmetic_says():
    step = build("RandomScaleCrop", size_hw=(45, 80), scale=(1, 1), fraction=(1, 1))
    (results,) = draws(step, 1)
    np.testing.assert_array_equal(results["gt_seg_map"], sample()["gt_seg_map"][1::2, 1::2])
    assert results["scale_factor"] == (0.5, 0.5)
    step = build("RandomScaleCrop", size_hw=(90, 160), scale=(0.5, 0.5), fraction=(1, 1))
    (results,) = draws(step, 1)
    inside = results["gt_seg_map"] != 255
    assert inside.sum() == inside.any(1).sum() * inside.any(0).sum() == 45 * 80


def test_nothing_is_cut_away_to_be_replaced_by_padding():
    everything = np.unique(sample()["gt_seg_map"])
    for results in draws(build("RandomScaleCrop", size_hw=HW), 100):
        inside = results["gt_seg_map"] != 255
        if (~inside.any(0)).sum() > 1:  # sides are rounded to whole pixels
            np.testing.assert_array_equal(np.unique(results["gt_seg_map"][inside]), everything)


def test_a_shrunken_image_lies_anywhere():
    step = build("RandomScaleCrop", size_hw=(90, 160), scale=(0.5, 0.5))
    corners = np.array([np.argwhere(r["gt_seg_map"] != 255).min(0) for r in draws(step, 200)])
    assert corners.min(0).tolist() == [0, 0]
    assert corners.max(0).tolist() >= [43, 77]


def test_a_window_is_never_enlarged_beyond_the_network():
    step = build("RandomScaleCrop", size_hw=HW, scale=(2, 2), fraction=(0.8, 0.8))
    for results in draws(step, 20):
        assert results["scale_factor"] == (1.25, 1.25)
        assert (results["gt_seg_map"] != 255).all()


def test_preferred_classes_are_in_every_window_and_others_are_not():
    def corner():
        labels = np.zeros(HW, np.uint8)
        labels[0, 0] = 1
        return sample(labels=labels)

    settings = dict(size_hw=HW, scale=(2, 2), fraction=(0.6, 0.9))
    with_it = [(r["gt_seg_map"] == 1).any() for r in draws(build("RandomScaleCrop", prefer=(1,), **settings), 60, corner)]
    without = [(r["gt_seg_map"] == 1).any() for r in draws(build("RandomScaleCrop", **settings), 60, corner)]
    assert all(with_it)
    assert sum(without) < 10


def test_a_small_preferred_class_counts_as_much_as_a_large_one():
    def corners():
        labels = np.zeros(HW, np.uint8)
        labels[-30:, -50:] = 1  # 1,500 pixels
        labels[0, 0] = 2  # one
        return sample(labels=labels)

    step = build("RandomScaleCrop", size_hw=HW, scale=(2, 2), fraction=(0.6, 0.6), prefer=(1, 2))
    hits = sum((r["gt_seg_map"] == 2).any() for r in draws(step, 200, corners))
    assert 70 < hits < 130  # half of 200, standard deviation 7


def test_a_preferred_class_that_is_absent_changes_nothing():
    step = build("RandomScaleCrop", size_hw=(64, 128), prefer=(99,))
    assert all(results["img"].shape == (64, 128, 3) for results in draws(step, 5))


def test_images_without_labels_are_cropped_too():
    results = build("RandomScaleCrop", size_hw=(64, 128), prefer=(1,))(dict(img=np.zeros((*HW, 3), np.uint8)))
    assert results["img"].shape == (64, 128, 3)


def test_boxes_are_not_left_behind_in_silence():
    with pytest.raises(ValueError, match="moves images and label maps only"):
        build("RandomScaleCrop", size_hw=(64, 128))(dict(sample(), gt_bboxes=np.zeros((1, 4))))


@pytest.mark.parametrize(
    ("name", "settings"),
    [("RandomScaleCrop", dict(size_hw=(64, 128), prefer=(1, 9))), ("RandomGaussianBlur", dict(prob=0.5, sigma_px=(0.1, 3.0)))],
)
def test_draws_repeat_from_numpys_state_alone(name, settings):
    first = draws(build(name, **settings), 10)
    random.seed(5)
    second = draws(build(name, **settings), 10)
    for a, b in zip(first, second):
        np.testing.assert_array_equal(a["img"], b["img"])
        np.testing.assert_array_equal(a["gt_seg_map"], b["gt_seg_map"])
    assert any((a["img"] != first[0]["img"]).any() for a in first[1:])


def test_blur_keeps_labels_mean_and_size_and_flattens_edges():
    before = sample()
    after = build("RandomGaussianBlur", prob=1.0, sigma_px=(2.0, 2.0))(sample())
    np.testing.assert_array_equal(after["gt_seg_map"], before["gt_seg_map"])
    assert after["img"].shape == before["img"].shape
    assert abs(after["img"].mean() - before["img"].mean()) < 1
    steps = [abs(np.diff(r["img"][..., 0].astype(int), axis=1)).max() for r in (before, after)]
    assert steps[1] < steps[0] / 2


def test_blur_happens_as_often_as_it_says():
    step = build("RandomGaussianBlur", prob=0.3, sigma_px=(2.0, 2.0))
    original = sample()["img"]
    blurred = sum((results["img"] != original).any() for results in draws(step, 300))
    assert 60 < blurred < 120  # 90, standard deviation 8


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("RandomScaleCrop", dict(size_hw=(4, 4), scale=(2.0, 0.5)), "scale must be"),
        ("RandomScaleCrop", dict(size_hw=(4, 4), fraction=(0.6, 1.2)), "fraction must be"),
        ("RandomGaussianBlur", dict(prob=1.5), "prob must be"),
        ("RandomGaussianBlur", dict(sigma_px=(0, 1)), "sigma_px must be"),
    ],
)
def test_impossible_ranges_are_refused(name, settings, message):
    with pytest.raises(ValueError, match=message):
        build(name, **settings)
