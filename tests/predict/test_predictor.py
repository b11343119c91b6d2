"""``Predictor`` on a model whose every prediction is known, and against mmseg's own inference."""

import datetime

import cv2
import numpy as np
import pytest
import torch

from mmstreet.engine.errors import LaunchError
from mmstreet.predict import Predictor
from tests.helpers.color_model import CLASSES, PALETTE, render_colors, write_model, write_png

RESIZE = """
test_dataloader["dataset"]["pipeline"] = [
    dict(type="LoadImageFromFile"), dict(type="Resize", scale=(31, 23), keep_ratio=True), dict(type="LoadAnnotations"),
    dict(type="PackSegInputs")]
test_pipeline = test_dataloader["dataset"]["pipeline"]
model["data_preprocessor"].update(test_cfg=dict(size_divisor=8))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def resizing(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("resizing"), change=RESIZE)


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(*model, device="cpu")


def test_one_line_gives_labels_in_the_images_coordinates(predictor, tmp_path):
    image, truth = render_colors(0)
    for given in (image, write_png(tmp_path / "a.png", image), str(tmp_path / "a.png")):
        result = predictor(given)
        np.testing.assert_array_equal(result.labels, truth)
        assert result.labels.dtype == np.uint8
    assert result.classes == CLASSES
    assert result.palette.tolist() == PALETTE
    assert result.probs is None
    assert result.shares == {name: pytest.approx(100 * (truth == i).mean()) for i, name in enumerate(CLASSES)}


@pytest.mark.parametrize("size_hw", [(1, 1), (7, 5), (33, 2), (24, 37)])
def test_odd_sizes_come_back_as_they_went_in(predictor, resizing, size_hw):
    image, truth = render_colors(1, size_hw)
    np.testing.assert_array_equal(predictor(image).labels, truth)
    assert Predictor(*resizing, device="cpu")(image).labels.shape == size_hw


def test_alpha_and_16_bits_change_nothing(predictor):
    image, truth = render_colors(2)
    np.testing.assert_array_equal(predictor(np.dstack([image, image[..., 0]])).labels, truth)
    np.testing.assert_array_equal(predictor(image.astype(np.uint16) << 8).labels, truth)


def test_batches_of_mixed_sizes_equal_single_images_in_order(resizing):
    images = [render_colors(i, size)[0] for i, size in enumerate([(24, 36), (30, 20), (24, 36), (24, 36), (30, 20)])]
    one = [Predictor(*resizing, device="cpu", keep_probs=True)(image) for image in images]
    batched = Predictor(*resizing, device="cpu", keep_probs=True, batch_size=3).predict_all(iter(images))
    for expected, predicted in zip(one, batched, strict=True):
        np.testing.assert_array_equal(predicted.labels, expected.labels)
        np.testing.assert_allclose(predicted.probs, expected.probs, atol=1e-6)


def test_it_agrees_with_mmsegs_own_inference(resizing, tmp_path):
    from mmseg.apis import inference_model, init_model

    image, _ = render_colors(3, (40, 64))
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    theirs = inference_model(init_model(*resizing, device="cpu"), str(tmp_path / "a.png"))
    ours = Predictor(*resizing, device="cpu", keep_probs=True)(image)
    np.testing.assert_allclose(ours.probs, theirs.seg_logits.data.softmax(0).numpy(), atol=1e-6)
    np.testing.assert_array_equal(ours.labels, theirs.pred_sem_seg.data[0].numpy())


def test_probabilities_are_those_of_the_logits(predictor, model):
    image, _ = render_colors(4)
    probs = Predictor(*model, device="cpu", keep_probs=True)(image).probs
    expected = torch.from_numpy(image.astype(np.float32) / 10).permute(2, 0, 1).softmax(0).numpy()
    np.testing.assert_allclose(probs, expected, atol=1e-5)


def test_a_mirrored_view_of_a_model_that_sees_single_pixels_changes_nothing(model):
    image, truth = render_colors(5)
    plain = Predictor(*model, device="cpu", keep_probs=True)(image)
    both = Predictor(*model, device="cpu", keep_probs=True, flip=True)(image)
    np.testing.assert_allclose(both.probs, plain.probs, atol=1e-6)
    np.testing.assert_array_equal(both.labels, truth)


def test_scales_are_averaged(model, resizing):
    image, _ = render_colors(6, (24, 36))
    for paths in (model, resizing):
        single = [Predictor(*paths, device="cpu", keep_probs=True, scales=[s])(image).probs for s in (0.5, 1.0)]
        assert np.abs(single[0] - single[1]).max() > 0.1
        mean = Predictor(*paths, device="cpu", keep_probs=True, scales=[0.5, 1.0])(image).probs
        np.testing.assert_allclose(mean, (single[0] + single[1]) / 2, atol=1e-6)


def test_a_refiner_gets_image_and_probabilities_and_its_changes_are_told(model):
    image, truth = render_colors(7, patch=12)
    truth[3, 3] = (truth[3, 3] + 1) % 3
    image[3, 3] = np.eye(3, dtype=np.uint8)[truth[3, 3]] * 255

    config = dict(type="mmstreet.VoteRefiner", source=dict(type="mmstreet.SuperpixelMasks", area_px=40), protect=[])
    refined = Predictor(*model, device="cpu", refine=config)(image)
    assert refined.changes["refiner"] == "VoteRefiner"
    assert refined.changes["changed_px"] == int((refined.labels != truth).sum())

    def keep(seen, probs):
        np.testing.assert_array_equal(seen, image)
        assert probs.shape == (3, *image.shape[:2])
        from mmstreet.refine.record import record_changes

        labels = np.zeros(seen.shape[:2], np.uint8)
        return labels, record_changes(probs.argmax(0).astype(np.uint8), labels, refiner="zero", classes=CLASSES)

    assert Predictor(*model, device="cpu", refine=keep)(image).shares["red thing"] == 100


def test_a_checkpoint_of_other_classes_is_refused_with_both_numbers(model, tmp_path):
    other = write_model(tmp_path, num_classes=2)[1]
    with pytest.raises(
        LaunchError, match=r"predicts 2 classes \(red thing, green thing\), but the config's model has 3; give the config that"
    ):
        Predictor(model[0], other, device="cpu")


def test_a_file_that_holds_more_than_weights_is_refused_unless_trusted(model, tmp_path):
    paths = write_model(tmp_path, extra=datetime.datetime(2020, 1, 1))
    with pytest.raises(LaunchError, match=r"holds the Python object 'datetime.datetime'.*add --trust-checkpoint \(trust=True\)"):
        Predictor(*paths, device="cpu")
    image, truth = render_colors(8)
    np.testing.assert_array_equal(Predictor(*paths, device="cpu", trust=True)(image).labels, truth)


@pytest.mark.parametrize("keep", [0, 400])
def test_a_checkpoint_that_is_cut_off_is_said_to_be(model, tmp_path, keep):
    config, checkpoint = write_model(tmp_path)
    with open(checkpoint, "r+b") as file:
        file.truncate(keep)
    with pytest.raises(LaunchError, match=r"colors.pth' cannot be read"):
        Predictor(config, checkpoint, device="cpu")


def test_the_newest_checkpoint_of_a_run_is_found(model, tmp_path):
    config = write_model(tmp_path)[0]
    (tmp_path / "colors.pth").rename(tmp_path / "epoch_3.pth")
    image, truth = render_colors(9)
    np.testing.assert_array_equal(Predictor(config, tmp_path, device="cpu")(image).labels, truth)


def test_classes_come_from_the_test_set_where_the_checkpoint_names_none(model, tmp_path):
    config, checkpoint = write_model(tmp_path)
    torch.save(torch.load(checkpoint)["state_dict"], checkpoint)
    assert Predictor(config, checkpoint, device="cpu").classes == CLASSES


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(batch_size=0), "batch_size must be 1 or more, got 0"),
        (dict(scales=[]), "scales must be one positive number"),
        (dict(device="cuda:77"), r"there is no device 'cuda:77': torch sees \d+ GPUs"),
        (dict(device="gpu"), "'gpu' is not a device; give cpu, cuda or cuda:NUMBER"),
        (dict(refine="gone.py"), "refiner config 'gone.py' does not exist"),
    ],
)
def test_settings_that_cannot_be_are_answered_in_a_sentence(model, settings, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Predictor(*model, **{"device": "cpu", **settings})


def test_a_config_without_checkpoint_is_told_what_is_missing(model):
    with pytest.raises(ValueError, match="needs a checkpoint; exported files"):
        Predictor(model[0])
    with pytest.raises(LaunchError, match=r"checkpoint 'gone.pth' does not exist; its folder has: no .pth file"):
        Predictor(model[0], "gone.pth")


def test_half_precision_and_another_layout_keep_the_labels(model, monkeypatch):
    monkeypatch.setattr("mmstreet.predict.trained_model.refuse_bfloat16", lambda: None)
    image, truth = render_colors(3)
    fast = Predictor(*model, device="cpu", keep_probs=True, half=True, channels_last=True)
    seen = []
    layer = next(m for m in fast.model.model.modules() if isinstance(m, torch.nn.Conv2d))
    layer.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    result = fast(image)
    np.testing.assert_array_equal(result.labels, truth)
    assert seen == [torch.bfloat16]
    assert result.probs.dtype == np.float32
    np.testing.assert_allclose(result.probs, Predictor(*model, device="cpu", keep_probs=True)(image).probs, atol=0.02)


def test_a_processor_without_bfloat16_predicts_in_float32_and_says_so(model, monkeypatch):
    said = []
    monkeypatch.setattr("mmstreet.predict.trained_model.refuse_bfloat16", lambda: "it is slow")
    monkeypatch.setattr("mmstreet.predict.trained_model.print_log", lambda text, **_: said.append(text))
    assert not Predictor(*model, device="cpu", half=True).model.half
    assert said == ["--half changes nothing here: it is slow; predictions stay in float32"]


def test_an_exported_file_has_its_own_type_and_layout(tmp_path, monkeypatch):
    monkeypatch.setattr("mmstreet.predict.load_model.load_exported", lambda path, device: object())
    with pytest.raises(ValueError, match="computes in the type and layout that it was exported with; leave out half and channels_last"):
        Predictor(tmp_path / "model.onnx", half=True)
