"""What a refiner is given is checked once, with one sentence for each mistake."""

import numpy as np
import pytest
import torch

from mmstreet.labels import get_table
from mmstreet.refine.prediction import ids_of, rank_classes, read_classes, read_prediction, thin_names
from tests.helpers.refine_oracles import random_prediction

RNG = np.random.default_rng(0)


def test_probabilities_become_labels_and_the_classes_that_win_somewhere():
    probs = np.zeros((4, 2, 3), np.float32)
    probs[1] = 0.6
    probs[3] = 0.4
    probs[1, 0, 0], probs[3, 0, 0] = 0.4, 0.6
    read = read_prediction(torch.from_numpy(probs), size_hw=(2, 3), num_classes=4)
    np.testing.assert_array_equal(read.labels, [[3, 1, 1], [1, 1, 1]])
    assert read.class_ids.tolist() == [1, 3]
    np.testing.assert_array_equal(read.probs, probs[[1, 3]])


def test_half_precision_probabilities_pass():
    probs = random_prediction(RNG, 19, (9, 11))
    read = read_prediction(torch.from_numpy(probs).half(), size_hw=(9, 11), num_classes=19)
    assert read.probs.dtype == np.float32
    assert (read.labels == probs.argmax(0)).mean() > 0.95


@pytest.mark.parametrize(
    ("prediction", "message"),
    [
        (np.zeros((2, 3, 4), np.float32), r"sums from 0 to 0; apply softmax"),
        (np.full((2, 4, 6), 0.9, np.float32), r"sums from 1.8 to 1.8; apply softmax"),
        (np.stack([np.full((4, 6), 1.5), np.full((4, 6), -0.5)]), ">= 0"),
        (np.full((2, 4, 6), np.nan), "nan"),
        (np.full((3, 4, 6), 1 / 3), r"float \[2, H, W\].* got float64 \[3, 4, 6\]"),
        (np.full((1, 2, 4, 6), 0.5), r"got float64 \[1, 2, 4, 6\]"),
        (np.zeros((4, 6)), "got float64"),
        (np.zeros((4, 6), bool), "got bool"),
        (np.full((4, 6), 2), r"label id 2 in .* neither a class \(0…1"),
        (np.full((4, 6), -1), "label id -1 in"),
        (np.full((4, 6), 256), "label id 256 in"),
    ],
)
def test_a_prediction_that_is_none_is_refused_with_the_reason(prediction, message):
    size_hw = (3, 4) if prediction.shape[-1] == 4 else (4, 6)
    with pytest.raises(ValueError, match=message):
        read_prediction(prediction, size_hw=size_hw, num_classes=2)


@pytest.mark.parametrize("prediction", [np.full((2, 2, 3), 0.5), np.zeros((2, 3), np.uint8)])
def test_another_size_than_the_image_is_refused(prediction):
    with pytest.raises(ValueError, match=r"the image \[4, 6\].*resize the probabilities to the image"):
        read_prediction(prediction, size_hw=(4, 6), num_classes=2)


def test_names_lead_to_ids_thin_classes_and_ranks():
    classes = read_classes("camvid11")
    assert ids_of(["pole", "sky"], classes=classes) == (2, 0)
    assert thin_names(classes) == ("pole", "signsymbol", "fence", "pedestrian", "bicyclist")
    known = ("road", "car", "bicycle", "rider", "traffic sign", "llama")
    assert rank_classes(known) == dict(zip(known, (0, 1, 2, 2, 3, 0), strict=True))
    own = get_table([dict(name="llama", group="human"), dict(name="car", group="object"), dict(name="tuk-tuk", group="vehicle")])
    assert rank_classes(own) == {"llama": 2, "car": 3, "tuk-tuk": 1}
    assert read_classes(own) == ("llama", "car", "tuk-tuk")
    with pytest.raises(ValueError, match="class 'llama' is not one of: a, b"):
        ids_of(["llama"], classes=("a", "b"))
