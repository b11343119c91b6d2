"""Heads of one channel for two classes: every way to predict cuts at the head's own threshold, as mmseg does."""

import cv2
import numpy as np
import pytest
import torch

from mmstreet.predict import Predictor
from mmstreet.predict.binary import labels_of, shift_probs
from mmstreet.predict.export import export_model
from mmstreet.predict.inference import load_trained
from tests.helpers.color_model import render_colors, write_model
from tests.predict.test_predictor import RESIZE

HEAD = """
model["decode_head"].update(num_classes=2, out_channels=1, threshold={threshold})
model["decode_head"]["loss_decode"] = dict(type="CrossEntropyLoss", use_sigmoid=True)
test_dataloader["dataset"]["metainfo"] = dict(classes=("ground", "water"), palette=[[0, 0, 0], [0, 0, 255]])
"""


def write_binary(folder, *, threshold=0.3, change=""):
    """A model whose logit is (red - 100) / 40."""
    config, checkpoint = write_model(folder, change=HEAD.format(threshold=threshold) + change)
    weights = {
        "decode_head.conv_seg.weight": torch.tensor([50.0, 0, 0]).reshape(1, 3, 1, 1) / 40,
        "decode_head.conv_seg.bias": torch.zeros(1),
    }
    torch.save({"state_dict": weights, "meta": {"dataset_meta": {"classes": ("ground", "water")}}}, checkpoint)
    return config, checkpoint


def probability(image):
    return 1 / (1 + np.exp(-(image[..., 0].astype(np.float64) - 100) / 40))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.8])
def test_labels_are_cut_at_the_heads_threshold_and_probabilities_are_its_own(tmp_path, image, threshold):
    paths = write_binary(tmp_path, threshold=threshold)
    expected = probability(image) > threshold
    assert 0.1 < expected.mean() < 0.9
    for settings in ({}, {"keep_probs": True}, {"flip": True}, {"flip": True, "keep_probs": True}):
        result = Predictor(*paths, device="cpu", **settings)(image)
        np.testing.assert_array_equal(result.labels, expected)
        if "keep_probs" in settings:
            np.testing.assert_allclose(result.probs, np.stack([1 - probability(image), probability(image)]), atol=1e-5)


def test_it_is_what_mmseg_predicts(tmp_path):
    from mmseg.apis import inference_model, init_model

    paths = write_binary(tmp_path, change=RESIZE)
    image = render_colors(3, (40, 64))[0]
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    theirs = inference_model(init_model(*paths, device="cpu"), str(tmp_path / "a.png"))
    ours = Predictor(*paths, device="cpu", keep_probs=True)(image)
    np.testing.assert_array_equal(ours.labels, theirs.pred_sem_seg.data[0].numpy())
    np.testing.assert_allclose(ours.probs[1], theirs.seg_logits.data[0].numpy(), atol=1e-6)
    np.testing.assert_array_equal(Predictor(*paths, device="cpu")(image).labels, ours.labels)


@pytest.mark.parametrize("suffix", [".onnx", ".torchscript"])
@pytest.mark.parametrize("change", ["", RESIZE])
def test_exported_files_answer_the_same(tmp_path, suffix, change):
    paths = write_binary(tmp_path, change=change)
    images = [render_colors(i, (40, 60))[0] for i in range(3)]
    parity = export_model(load_trained(*paths, device="cpu"), images, tmp_path / f"m{suffix}")
    assert parity.labels_equal > 0.999
    trained, exported = Predictor(*paths, device="cpu", keep_probs=True), Predictor(tmp_path / f"m{suffix}", keep_probs=True)
    for image in images:
        assert set(np.unique(trained(image).labels)) == {0, 1}
        assert (exported(image).labels == trained(image).labels).mean() > 0.999
        np.testing.assert_allclose(exported(image).probs, trained(image).probs, atol=1e-4)
        logits = exported.model.predict_logits([image])[0]
        np.testing.assert_array_equal(
            logits.argmax(0), exported.model.predict_labels([image])[0]
        )  # whoever runs the file needs argmax only
    both = Predictor(tmp_path / f"m{suffix}", flip=True)(images[0])
    assert (both.labels == Predictor(*paths, device="cpu", flip=True)(images[0]).labels).mean() > 0.999


def test_a_refiner_starts_from_the_labels_of_the_threshold(tmp_path, image):
    paths = write_binary(tmp_path)
    seen = []

    def keep(image, probs):
        from mmstreet.refine.record import record_changes

        seen.append(probs)
        labels = probs.argmax(0).astype(np.uint8)
        return labels, record_changes(labels, labels, refiner="same", classes=("ground", "water"))

    result = Predictor(*paths, device="cpu", refine=keep, keep_probs=True)(image)
    np.testing.assert_array_equal(result.labels, probability(image) > 0.3)
    np.testing.assert_allclose(seen[0].sum(0), 1, atol=1e-6)
    np.testing.assert_allclose(result.probs[1], probability(image), atol=1e-5)


def test_shifted_probabilities_cut_at_a_half_what_the_threshold_cuts():
    p = np.linspace(0, 1, 1001)
    probs = np.stack([1 - p, p])[:, None]
    for threshold in (0.02, 0.3, 0.5, 0.97):
        shifted = shift_probs(probs, threshold)
        clear = np.abs(p - threshold) > 1e-9
        np.testing.assert_array_equal((shifted[1, 0] > 0.5)[clear], (p > threshold)[clear])
        np.testing.assert_array_equal(labels_of(probs, threshold)[0], p > threshold)
        np.testing.assert_allclose(shifted.sum(0), 1)
        np.testing.assert_allclose(shift_probs(shifted, 1 - threshold), probs, atol=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("classes", ["two", "three"])
def test_scores_that_are_not_finite_are_refused(tmp_path, image, value, classes):
    paths = write_binary(tmp_path) if classes == "two" else write_model(tmp_path)
    predictor = Predictor(*paths, device="cpu")
    with torch.no_grad():
        predictor.model.model.decode_head.conv_seg.bias[0] = value
    with pytest.raises(ValueError, match="the network's scores are not finite"):
        predictor(image)


def test_scores_of_an_exported_file_that_are_not_finite_are_refused(tmp_path):
    paths = write_model(tmp_path)
    image = render_colors(0)[0]
    export_model(load_trained(*paths, device="cpu"), [image], tmp_path / "m.onnx")
    predictor = Predictor(tmp_path / "m.onnx")
    network = predictor.model.run
    predictor.model.run = lambda batch: np.where(np.arange(3)[None, :, None, None] == 1, np.nan, network(batch)).astype(np.float32)
    with pytest.raises(ValueError, match="the network's scores are not finite"):
        predictor(image)
