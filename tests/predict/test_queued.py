"""Where the device has a queue, a batch is prepared by several threads and waited for once; the answers are those of image by image."""

import threading

import numpy as np
import pytest
import torch

from mmstreet.engine.launch import load_config
from mmstreet.predict import Predictor
from mmstreet.predict.folder import PredictionFolder
from mmstreet.predict.inference import build_model
from mmstreet.predict.job import predict_sources
from mmstreet.predict.sources import find_sources
from mmstreet.predict.video_job import _begin_batches
from tests.helpers.color_model import read_ids, write_model, write_png
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


@pytest.fixture
def watched(tmp_path, monkeypatch, images):
    """A predictor of two images at a time that notes what it begins and what it waits for."""
    predictor = as_queued(Predictor(*write_model(tmp_path), device="cpu", batch_size=2), monkeypatch)
    original, events = predictor.model.begin_labels, []

    def begin(batch):
        number = sum(event.startswith("begin") for event in events)
        events.append(f"begin {number}")
        read = original(batch)

        def wait():
            events.append(f"read {number}")
            return read()

        return wait

    monkeypatch.setattr(predictor.model, "begin_labels", begin)
    return predictor, events


AHEAD = ["begin 0", "begin 1", "read 0", "begin 2", "read 1", "read 2"]


def test_a_batch_is_begun_before_the_one_before_is_waited_for(watched, images):
    predictor, events = watched
    found = list(predictor.predict_all(images))
    assert events == AHEAD
    want = [result for start in (0, 2, 4) for result in predictor.predict_batch(images[start : start + 2])]
    for result, other in zip(found, want, strict=True):
        np.testing.assert_array_equal(result.labels, other.labels)


@pytest.mark.parametrize("options", [dict(flip=True), dict(keep_probs=True), dict(keep_confidence=True)])
def test_what_needs_scores_is_not_begun_ahead(tmp_path, monkeypatch, images, options):
    predictor = as_queued(Predictor(*write_model(tmp_path), device="cpu", **options), monkeypatch)
    assert predictor.ahead == 0
    assert len(list(predictor.predict_all(images))) == len(images)


def test_a_folder_is_predicted_ahead_and_one_bad_image_spoils_no_other(watched, tmp_path, images, monkeypatch):
    predictor, events = watched
    for i, image in enumerate(images):
        write_png(tmp_path / f"photos/{i}.png", image)
    original, reads = predictor.begin_batch, []

    def begin(batch):
        read = original(batch)
        spoiled = any(np.array_equal(image, images[2]) for image in batch)

        def wait():
            reads.append(len(batch))
            if spoiled:
                raise ValueError("not finite")
            return read()

        return wait

    monkeypatch.setattr(predictor, "begin_batch", begin)
    sources = find_sources(tmp_path / "photos")
    folder = PredictionFolder(tmp_path / "out", {}, overwrite=True)
    folder.choose(sources)
    told = []
    outcome = predict_sources(predictor, sources, folder, progress=False, tell=lambda source, result, ms: told.append((source.name, ms)))
    assert events[:3] == AHEAD[:3]
    assert reads == [2, 2, 1, 1, 1]
    assert {source.name: reason for source, reason in outcome.failed.items()} == {"2": "not finite"}
    assert [name for name, _ in told] == ["0", "1", "3", "4"]
    assert outcome.done == 4
    assert outcome.ms == pytest.approx(sum(ms for _, ms in told))
    assert min(ms for _, ms in told) > 0
    predictor.model.queues = False
    np.testing.assert_array_equal(read_ids(tmp_path / "out/labels/3.png"), predictor(images[3]).labels)


def test_a_video_is_predicted_ahead_in_order(watched, tmp_path):
    predictor, events = watched
    frames = [np.full((48, 64, 3), 50 * i, np.uint8) for i in range(5)]
    begun = list(_begin_batches(predictor, frames))
    assert events == [*AHEAD[:2], "begin 2"]
    found = [pair for shown, results in begun for pair in zip(shown, results(), strict=True)]
    assert [int(frame[0, 0, 0]) for frame, _ in found] == [0, 50, 100, 150, 200]
    predictor.model.queues = False
    for frame, result in found:
        np.testing.assert_array_equal(result.labels, predictor(frame).labels)


def test_no_image_gives_no_result(watched):
    assert watched[0].predict_batch([]) == []
