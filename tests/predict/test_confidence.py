"""Confidence of a prediction: probabilities at a temperature, entropy, abstaining, and the file beside a checkpoint."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from mmstreet.predict.confidence import abstain_below, calibration_path, measure_entropy, read_temperature, temper_probs
from mmstreet.predict.identity import identify_file


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_probabilities_at_a_temperature_are_those_of_the_divided_logits(temperature):
    logits = torch.randn(5, 7, 6, generator=torch.Generator().manual_seed(0)) * 3
    probs = temper_probs(logits.softmax(0).numpy(), temperature)
    assert probs == pytest.approx((logits / temperature).softmax(0).numpy(), abs=1e-5)
    assert np.array_equal(probs.argmax(0), logits.argmax(0).numpy())


def test_a_probability_of_zero_stays_finite():
    assert temper_probs(np.array([[[1.0]], [[0.0]]], np.float32), 3.0).sum() == pytest.approx(1)


def test_entropy_is_by_its_greatest_value():
    probs = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0)).softmax(0).numpy()
    assert measure_entropy(probs) == pytest.approx(entropy(probs, axis=0, base=4), abs=1e-6)
    assert measure_entropy(np.full((4, 1, 1), 0.25, np.float32)) == pytest.approx(1)


def test_pixels_below_the_threshold_are_unknown():
    labels, confidence = np.array([[3, 4, 5]], np.uint8), np.array([[0.2, 0.5, 0.9]], np.float32)
    assert abstain_below(labels, confidence, 0.5).tolist() == [[255, 4, 5]]


def test_a_temperature_is_read_for_its_own_weights_only(tmp_path):
    checkpoint = tmp_path / "epoch_1.pth"
    checkpoint.write_bytes(b"weights")
    assert read_temperature(checkpoint) is None
    path = calibration_path(checkpoint)
    path.write_text(json.dumps({"temperature": 1.5, "sha256": identify_file(checkpoint)["sha256"]}))
    assert read_temperature(checkpoint) == 1.5
    checkpoint.write_bytes(b"other weights")
    with pytest.raises(ValueError, match="was fitted to other weights"):
        read_temperature(checkpoint)
    for content in ("{", "[]", '{"temperature": 0}', '{"temperature": "2"}', '{"temperature": true}'):
        path.write_text(content)
        with pytest.raises(ValueError, match="holds no temperature"):
            read_temperature(checkpoint)
