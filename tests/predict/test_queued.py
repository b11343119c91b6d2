"""Where the device has a queue, a batch is prepared by several threads and waited for once; the answers are those of image by image."""

import threading

import numpy as np
import pytest
import torch

from mmstreet.engine.launch import load_config
from mmstreet.predict import Predictor
from mmstreet.predict.inference import build_model
from tests.helpers.color_model import write_model
from tests.helpers.leaf_configs import CONFIGS
from tests.predict.test_binary import write_binary


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (height, width, 3), np.uint8) for height, width in ((40, 60), (33, 47), (40, 60), (40, 60), (33, 47))]


def as_queued(predictor, monkeypatch, *, cores=3):
    monkeypatch.setattr("mmstreet.predict.trained_model.available_cores", lambda: cores)
    predictor.model.queues = True
    return predictor


@pytest.mark.parametrize("cores", [1, 3, 16])
def test_labels_are_those_of_image_by_image(tmp_path, monkeypatch, images, cores):
    config = CONFIGS / "deeplabv3_mini_v3.py"
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(load_config(config, launcher="none")).state_dict()}, tmp_path / "random.pth")
    predictor = Predictor(config, tmp_path / "random.pth", device="cpu")
    want = [predictor.predict_batch([image])[0].labels for image in images]
    found = as_queued(predictor, monkeypatch, cores=cores).predict_batch(images)
    for result, labels in zip(found, want, strict=True):
        assert result.labels.dtype == np.uint8
        np.testing.assert_array_equal(result.labels, labels)
    assert len(np.unique(want[0])) > 1


def test_a_head_of_one_channel(tmp_path, monkeypatch, images):
    predictor = Predictor(*write_binary(tmp_path), device="cpu")
    want = [predictor.predict_batch([image])[0].labels for image in images]
    for result, labels in zip(as_queued(predictor, monkeypatch).predict_batch(images), want, strict=True):
        np.testing.assert_array_equal(result.labels, labels)


def test_each_thread_has_steps_of_its_own(tmp_path, monkeypatch, images):
    predictor = as_queued(Predictor(*write_model(tmp_path), device="cpu"), monkeypatch)
    users, together = {}, threading.Barrier(3, timeout=20)
    original = predictor.model._prepare_one

    def watch(image, pipeline):
        if id(pipeline) not in users:
            together.wait()  # three threads are here at a time
        users.setdefault(id(pipeline), set()).add(threading.get_ident())
        return original(image, pipeline)

    monkeypatch.setattr(predictor.model, "_prepare_one", watch)
    assert len(predictor.predict_batch(images)) == len(images)
    assert [len(threads) for threads in users.values()] == [1, 1, 1]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_not_finite_are_refused(tmp_path, monkeypatch, images, value):
    predictor = as_queued(Predictor(*write_model(tmp_path), device="cpu"), monkeypatch)
    with torch.no_grad():
        predictor.model.model.decode_head.conv_seg.bias[0] = value
    with pytest.raises(ValueError, match="the network's scores are not finite"):
        predictor.predict_batch(images)


def test_what_a_step_raises_in_a_thread_is_raised(tmp_path, monkeypatch, images):
    predictor = as_queued(Predictor(*write_model(tmp_path), device="cpu"), monkeypatch)

    def refuse(image, pipeline):
        raise ValueError("an image that no step takes")

    monkeypatch.setattr(predictor.model, "_prepare_one", refuse)
    with pytest.raises(ValueError, match="an image that no step takes"):
        predictor.predict_batch(images)
