"""The CRF agrees with mean field written out between all pairs of pixels, and stays within the classes of the map."""

import numpy as np
import pytest

from mmstreet.refine.crf import CRFRefiner, mean_field, spread_labels
from tests.helpers.refine_oracles import exact_mean_field, random_prediction

pytest.importorskip("pydensecrf.densecrf")
RNG = np.random.default_rng(0)
CLASSES = ("road", "wall", "pole", "car")


def two_halves(size_hw=(28, 36)):
    """An image of two colours with noise, and class probabilities that know the edge only roughly."""
    rng = np.random.default_rng(1)
    image = np.full((*size_hw, 3), (60, 90, 120), np.uint8)
    image[:, 20:] = (150, 100, 60)
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    scores = rng.normal(0, 0.7, (3, *size_hw))
    scores[0, :, :17] += 1.5
    scores[1, :, 17:] += 1.5
    probs = np.exp(scores) / np.exp(scores).sum(0)
    return image, probs.astype(np.float32)


def test_the_lattice_agrees_with_exact_mean_field():
    image, probs = two_halves()
    settings = {"iterations": 5, "pos_w": 3.0, "pos_xy": 2.0, "bi_w": 4.0, "bi_xy": 12.0, "bi_rgb": 8.0}
    exact = exact_mean_field(image, probs, **settings)
    ours = mean_field(image, probs, **settings)
    agreement = (ours.argmax(0) == exact.argmax(0)).mean()
    assert agreement > 0.99, agreement
    assert (exact.argmax(0) != probs.argmax(0)).mean() > 0.05  # there was something to decide


def test_the_result_sums_to_one_and_no_weight_gives_the_unary_back():
    image, probs = two_halves()
    np.testing.assert_allclose(mean_field(image, probs).sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(mean_field(image, probs, pos_w=0, bi_w=0), probs, atol=1e-5)
    np.testing.assert_allclose(mean_field(image, probs, iterations=0), probs, atol=1e-5)


def test_without_colour_the_appearance_kernel_is_a_blur():
    _, probs = two_halves()
    image = np.full((*probs.shape[1:], 3), 77, np.uint8)
    settings = {"pos_xy": 1.0, "bi_w": 3.0, "bi_xy": 3.0, "bi_rgb": 5.0, "pos_w": 0.0, "iterations": 3}
    exact = exact_mean_field(image, probs, **settings)
    ours = mean_field(image, probs, **settings)
    assert (ours.argmax(0) == exact.argmax(0)).mean() > 0.99


def test_the_order_of_the_channels_does_not_matter_but_the_colours_do():
    image, probs = two_halves()  # one width serves all three channels, so distances between colours stay
    smooth = mean_field(image, probs)
    assert (mean_field(image[..., ::-1], probs).argmax(0) == smooth.argmax(0)).mean() > 0.99
    assert np.abs(mean_field(np.zeros_like(image), probs) - smooth).max() > 0.1


@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 5, 6), (2, 1, 7)])
def test_one_pixel_and_one_class_are_no_special_case(shape):
    probs = np.full(shape, 1 / shape[0], np.float32)
    image = RNG.integers(0, 256, (*shape[1:], 3), dtype=np.uint8)
    np.testing.assert_allclose(mean_field(image, probs), probs, atol=1e-5)


def test_another_size_than_the_image_is_refused():
    with pytest.raises(ValueError, match="resize them to the image"):
        mean_field(np.zeros((4, 4, 3), np.uint8), np.full((2, 4, 5), 0.5, np.float32))


def test_a_label_map_is_trusted_as_far_as_asked_and_void_is_uniform():
    probs = spread_labels(np.array([[2, 7, 255]], np.uint8), [2, 5, 7], label_prob=0.7)
    np.testing.assert_allclose(probs[:, 0].T, [[0.7, 0.15, 0.15], [0.15, 0.15, 0.7], [1 / 3] * 3], rtol=1e-6)


def test_void_is_decided_by_its_neighbours_in_the_mean_field():
    labels = np.zeros((12, 12), np.uint8)
    labels[:, 6:] = 1
    truth = labels.copy()
    labels[4:7, 2:4] = 255
    image = np.where(truth[..., None] == 1, 200, 40).astype(np.uint8).repeat(3, -1)
    smooth = mean_field(image, spread_labels(labels, [0, 1], label_prob=0.7))
    np.testing.assert_array_equal(smooth.argmax(0), truth)
    refined, _ = CRFRefiner(classes=CLASSES)(image, labels)
    np.testing.assert_array_equal(refined, labels)  # the refiner leaves it


@pytest.mark.parametrize("resize", [1.0, 0.5])
def test_the_refiner_moves_the_border_to_the_edge_and_invents_no_class(resize):
    image, probs = two_halves()
    four = np.concatenate([probs[:2] + probs[2:] / 2, np.zeros_like(probs[:2])])  # poles and cars: probability zero
    four[3] += 1e-6
    refined, record = CRFRefiner(classes=CLASSES, bi_xy=12, bi_rgb=8, resize=resize)(image, four)
    truth = np.zeros(refined.shape, int)
    truth[:, 20:] = 1
    assert set(np.unique(refined)) <= {0, 1}
    assert (refined == truth).mean() > (four.argmax(0) == truth).mean() + 0.03
    assert record.changed_px == (refined != four.argmax(0)).sum() > 0


def test_a_thin_class_is_not_smoothed_away_unless_asked():
    image = np.full((24, 24, 3), 100, np.uint8)
    labels = np.zeros((24, 24), np.uint8)
    labels[:, 12] = CLASSES.index("pole")
    kept, record = CRFRefiner(classes=CLASSES)(image, labels)
    np.testing.assert_array_equal(kept[:, 12], labels[:, 12])
    assert record.protected_px == 24
    erased, record = CRFRefiner(classes=CLASSES, protect=[])(image, labels)
    assert (erased == 0).all()
    assert record.lost_px == (0, 0, 24, 0)


def test_frozen_classes_keep_their_pixels_and_gain_none():
    probs = random_prediction(RNG, 4, (32, 40))
    image = np.kron(RNG.integers(0, 256, (8, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    pole = CLASSES.index("pole")
    loose, _ = CRFRefiner(classes=CLASSES, protect=[])(image, probs)
    frozen, record = CRFRefiner(classes=CLASSES, protect=[], freeze="slender")(image, probs)
    before = probs.argmax(0)
    assert ((loose == pole) != (before == pole)).any()
    np.testing.assert_array_equal(frozen == pole, before == pole)
    assert record.changed_px == (frozen != before).sum() > 0


def test_the_appearance_kernel_widens_with_the_image_on_request(monkeypatch):
    seen = []
    monkeypatch.setattr("mmstreet.refine.crf.mean_field", lambda image, probs, **settings: seen.append((image.shape, settings)) or probs)
    image, probs = np.zeros((20, 1026, 3), np.uint8), random_prediction(RNG, 4, (20, 1026))
    for scale_xy, resize in ((False, 1.0), (True, 1.0), (True, 0.5)):
        CRFRefiner(classes=CLASSES, scale_xy=scale_xy, resize=resize)(image, probs)
    assert [(shape[:2], s["bi_xy"], s["pos_xy"]) for shape, s in seen] == [
        ((20, 1026), 67, 1),
        ((20, 1026), 134, 1),
        ((10, 513), 67, 0.5),
    ]


@pytest.mark.parametrize(("setting", "message"), [({"resize": 0}, "resize"), ({"resize": 2}, "resize"), ({"label_prob": 1}, "label_prob")])
def test_settings_out_of_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        CRFRefiner(classes=CLASSES, **setting)
