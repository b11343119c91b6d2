"""Corruptions against their published formulas, computed another way, and the promise of the same bytes each time."""

import math

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.color import hsv2rgb, rgb2hsv

from mmstreet.registry import TRANSFORMS
from mmstreet.transforms import corruption_filters as filters
from mmstreet.transforms.corruption_weather import frost_texture, plasma
from mmstreet.transforms.corruptions import DISPLACES, GROUPS, KINDS, SEVERITIES, corrupt_image, corrupt_labels


def rng():
    return np.random.default_rng(3)


@pytest.fixture(scope="module")
def image():
    """Smooth patches with edges, as a street has them."""
    y, x = np.mgrid[:48, :64]
    patches = (np.sin(x / 9)[..., None] + np.cos(y / 7)[..., None] * [1, -1, 0.3] + (x > 30)[..., None]) / 4 + 0.4
    return np.rint(255 * patches.clip(0, 1)).astype(np.uint8)


def test_there_are_the_fifteen_common_kinds_and_two_of_dash_cameras():
    assert {group: len(kinds) for group, kinds in GROUPS.items()} == {"noise": 3, "blur": 4, "weather": 4, "digital": 4, "camera": 2}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bytes_follow_from_name_kind_and_severity_alone(kind, image):
    first = corrupt_image(image, kind, 3, name="a.jpg")
    np.random.seed(5)  # noqa: NPY002
    corrupt_image(image, kind, 2, name="b.jpg")
    assert np.array_equal(corrupt_image(image.copy(), kind, 3, name="a.jpg"), first)
    assert not np.array_equal(corrupt_image(image, kind, 4, name="a.jpg"), first)
    drawn = set(KINDS) - {"defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "dashcam_compression"}
    assert np.array_equal(corrupt_image(image, kind, 3, name="b.jpg"), first) == (kind not in drawn)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (3, 41), (37, 5)])
def test_every_size_gives_an_image_of_that_size(kind, size):
    picture = rng().integers(0, 256, (*size, 3), dtype=np.uint8)
    before = picture.copy()
    for severity in SEVERITIES:
        out = corrupt_image(picture, kind, severity, name="a")
        assert (out.shape, out.dtype) == (picture.shape, np.uint8)
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"elastic_transform", "snow", "frost", "fog"}))
def test_a_greater_severity_changes_more(kind, image):
    changes = [np.abs(corrupt_image(image, kind, severity, name="a").astype(int) - image).mean() for severity in SEVERITIES]
    assert 0 < changes[0] < changes[2] < changes[4]
    assert changes == sorted(changes) or kind == "glass_blur", "the published steps of glass go up and down a little"


def test_noise_has_the_published_strength():
    grey = np.full((200, 200, 3), 0.5, np.float32)
    for severity, scale, photons, amount in zip(
        SEVERITIES, (0.08, 0.12, 0.18, 0.26, 0.38), (60, 25, 12, 5, 3), (0.03, 0.06, 0.09, 0.17, 0.27)
    ):
        assert (filters.gaussian_noise(grey, severity, rng()) - grey).std() == pytest.approx(scale, rel=0.02)
        counted = filters.shot_noise(grey, severity, rng())
        assert counted.mean() == pytest.approx(0.5, rel=0.02)
        assert counted.var() == pytest.approx(0.5 / photons, rel=0.05)
        salted = filters.impulse_noise(grey, severity, rng())
        assert [(salted == value).mean() for value in (0, 1)] == pytest.approx([amount / 2] * 2, rel=0.05)


def test_defocus_is_the_mean_over_a_disk(image):
    pixels = image.astype(np.float32) / 255
    y, x = np.mgrid[-8:9, -8:9]
    disk = (x**2 + y**2 <= 9).astype(float)
    expected = ndimage.correlate(pixels, (disk / disk.sum())[..., None], mode="mirror")
    assert filters.defocus_blur(pixels, 1, rng()) == pytest.approx(expected, abs=1e-5)


def test_a_point_becomes_a_fading_trail_of_the_published_length():
    point = np.zeros((101, 101), np.float32)
    point[50, 50] = 1
    trail = filters.blur_along(point, length=21, sigma=3, degrees=30)
    weights = [math.exp(-(k**2) / 18) for k in range(21)]
    expected = np.zeros_like(point)
    for k, weight in enumerate(weights):
        expected[50 - round(k * math.sin(math.pi / 6)), 50 - round(k * math.cos(math.pi / 6))] += weight / sum(weights)
    assert trail == pytest.approx(expected, abs=1e-6)


def test_zoom_keeps_the_centre_and_agrees_with_an_affine_map(image):
    pixels = image.astype(np.float32) / 255
    centre = (np.array(pixels.shape[:2]) - 1) / 2
    expected = np.zeros_like(pixels, dtype=float)
    factors = [1 + 0.02 * i for i in range(11)]
    for factor in factors:
        for c in range(3):
            expected[..., c] += ndimage.affine_transform(
                pixels[..., c].astype(float), np.eye(2) / factor, offset=centre * (1 - 1 / factor), order=1, mode="nearest"
            )
    expected = (pixels + expected) / 12
    assert filters.zoom_blur(pixels, 3, rng()) == pytest.approx(expected, abs=0.01)  # OpenCV knows places to 1/32 of a pixel


def test_glass_moves_pixels_and_invents_none(image, monkeypatch):
    monkeypatch.setattr(filters, "_smooth", lambda pixels, sigma: pixels)
    pixels = image.astype(np.float32) / 255
    moved = filters.glass_blur(pixels, 1, rng())
    assert not np.array_equal(moved, pixels)
    assert sorted(map(tuple, moved.reshape(-1, 3))) == sorted(map(tuple, pixels.reshape(-1, 3)))
    steps = rng()
    expected = pixels.copy()
    for _ in range(2):
        step_y, step_x = steps.integers(-1, 1, size=(2, 46, 62))
        for i, h in enumerate(range(46, 0, -1)):
            for j, w in enumerate(range(62, 0, -1)):
                y, x = h + step_y[i, j], w + step_x[i, j]
                expected[h, w], expected[y, x] = expected[y, x].copy(), expected[h, w].copy()
    assert np.array_equal(moved, expected)


def test_brightness_raises_the_value_and_keeps_hue_and_saturation(image):
    pixels = image.astype(np.float32) / 255
    pixels[0, 0] = 0
    for severity in SEVERITIES:
        hsv = rgb2hsv(pixels)
        hsv[..., 2] = (hsv[..., 2] + 0.1 * severity).clip(0, 1)
        assert filters.brightness(pixels, severity, rng()) == pytest.approx(hsv2rgb(hsv), abs=1e-5)


def test_contrast_pixelate_and_jpeg_follow_their_definitions(image):
    mean = image.mean((0, 1))
    expected = np.rint((image - mean) * 0.2 + mean)
    assert np.abs(corrupt_image(image, "contrast", 3, name="a") - expected).max() <= 1
    small = Image.fromarray(image).resize((32, 24), Image.Resampling.BOX)
    assert np.array_equal(corrupt_image(image, "pixelate", 2, name="a"), np.kron(np.asarray(small), np.ones((2, 2, 1), np.uint8)))
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 7, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x221111])
    assert ok
    assert np.abs(corrupt_image(image, "jpeg_compression", 5, name="a").astype(int) - cv2.imdecode(data, 1)[..., ::-1]).mean() < 0.5


def test_darkness_counts_the_light_of_a_short_exposure():
    white = np.ones((300, 300, 3), np.float32)
    for severity in SEVERITIES:
        light = filters.darkness(white, severity, rng()).astype(float) ** 2.2
        assert light.mean() == pytest.approx(0.5**severity, rel=0.02)
        assert light.var() == pytest.approx((1000 / 2**severity + 4) / 1e6, rel=0.05)


@pytest.mark.parametrize("severity", SEVERITIES)
def test_labels_move_with_the_elastic_transform(severity):
    labels = np.kron(rng().integers(0, 4, (6, 8)), np.ones((20, 20))).astype(np.uint8)
    colors = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
    moved = corrupt_labels(labels, "elastic_transform", severity, name="a.png")
    shown = corrupt_image(colors[labels], "elastic_transform", severity, name="a.png")
    nearest = (np.abs(shown[:, :, None].astype(int) - colors).sum(3)).argmin(2)
    inside = cv2.morphologyEx(moved, cv2.MORPH_GRADIENT, np.ones((5, 5), np.uint8)) == 0
    assert (moved != labels).mean() > 0.01
    assert np.array_equal(nearest[inside], moved[inside])
    for kind in set(KINDS) - {"elastic_transform"}:
        assert corrupt_labels(labels, kind, severity, name="a.png") is labels


def test_what_displaces_pixels_without_moving_labels_is_named():
    assert DISPLACES == ("glass_blur", "zoom_blur")


@pytest.mark.parametrize("sigma", [3.6, 40.0])
def test_smoothed_noise_has_the_spread_of_a_gaussian_over_white_noise(sigma):
    fields = [filters._smooth_noise((400, 400), sigma, np.random.default_rng(i)) for i in range(80)]
    noise = np.stack([field[180:220, 180:220] for field in fields])  # reflection at the border adds to the spread there
    assert noise.std() == pytest.approx(1 / math.sqrt(3) / (2 * sigma * math.sqrt(math.pi)), rel=0.15)


def test_clouds_fill_their_range_and_are_rougher_with_a_small_decay():
    clouds = [plasma((64, 64), decay, rng()) for decay in (3, 2, 1.4)]
    for cloud in clouds:
        assert (cloud.min(), cloud.max()) == (0, 1)
    steps = [np.abs(np.diff(cloud, 2)).mean() for cloud in clouds]
    assert steps == sorted(steps)


def test_frost_has_the_brightness_of_photographs_of_ice():
    texture = frost_texture((120, 160), rng())
    assert texture.mean() == pytest.approx(0.58, abs=0.06)
    assert 0.09 < texture.mean(2).std() < 0.18


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_the_step_works_on_what_the_loader_gives(image, dtype):
    step = TRANSFORMS.build(dict(type="mmstreet.CorruptImage", kind="gaussian_noise", severity=2))
    out = step({"img": image[..., ::-1].astype(dtype), "img_path": "some/where/a.jpg"})["img"]
    assert out.dtype == dtype
    assert np.array_equal(out[..., ::-1], corrupt_image(image, "gaussian_noise", 2, name="a.jpg")), "the folder does not matter"
    grey = step({"img": image[..., 0].astype(dtype), "img_path": "a.jpg"})["img"]
    assert (grey.shape, grey.dtype) == (image.shape[:2], dtype)


def test_wrong_settings_and_images_are_refused():
    with pytest.raises(ValueError, match="unknown corruption 'hail'; choose one of gaussian_noise"):
        TRANSFORMS.build(dict(type="mmstreet.CorruptImage", kind="hail", severity=1))
    with pytest.raises(ValueError, match="from 1 to 5, not 6"):
        TRANSFORMS.build(dict(type="mmstreet.CorruptLabels", kind="fog", severity=6))
    step = TRANSFORMS.build(dict(type="mmstreet.CorruptImage", kind="fog", severity=1))
    with pytest.raises(ValueError, match=r"a\.jpg: corruptions need one or three channels of 8 bits"):
        step({"img": np.full((4, 4, 3), 0.5), "img_path": "a.jpg"})
    move = TRANSFORMS.build(dict(type="mmstreet.CorruptLabels", kind="elastic_transform", severity=1))
    with pytest.raises(ValueError, match="needs labels of the image's size"):
        move({"gt_seg_map": np.zeros((4, 4), np.uint8), "img_path": "a.jpg", "ori_shape": (8, 8)})
