"""Prediction reads files as the config's own loader does: orientation, colours, decoder, data type; videos by the same rule."""

import json
import struct

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mmstreet.__main__ import main
from mmstreet.engine.errors import LaunchError
from mmstreet.predict import Predictor
from mmstreet.predict.export import export_model
from mmstreet.predict.inference import load_trained
from mmstreet.predict.video import VideoReader
from tests.helpers.color_model import read_ids, render_colors, write_model, write_png
from tests.predict.test_video import write_video

QUARTER_TURN = 6
"""The orientation tag of a picture that has to be turned clockwise to stand upright."""


def loader(step):
    return f'test_dataloader["dataset"]["pipeline"][0] = {step}\n'


MMCV = loader('dict(type="LoadImageFromFile")')
MMCV_STORED = loader('dict(type="LoadImageFromFile", color_type="color_ignore_orientation")')
MMCV_PILLOW = loader('dict(type="LoadImageFromFile", imdecode_backend="pillow")')
MMCV_FLOAT = loader('dict(type="LoadImageFromFile", to_float32=True)')
OURS = loader('dict(type="mmstreet.LoadImage")')
OURS_TURNED = loader('dict(type="mmstreet.LoadImage", orientation="exif")')


@pytest.fixture
def turned(tmp_path):
    """A picture with an orientation tag, and its label map as stored."""
    image, truth = render_colors(0)
    picture = Image.fromarray(image)
    exif = picture.getexif()
    exif[0x0112] = QUARTER_TURN
    (tmp_path / "photos").mkdir()
    picture.save(tmp_path / "photos/a.jpg", quality=100, subsampling=0, exif=exif)
    return tmp_path / "photos/a.jpg", truth


@pytest.mark.parametrize(
    ("change", "upright"),
    [(MMCV, True), (MMCV_STORED, False), (MMCV_PILLOW, True), (MMCV_FLOAT, True), (OURS, False), (OURS_TURNED, True)],
)
def test_orientation_tags_count_as_in_the_configs_loader(tmp_path, turned, change, upright):
    path, stored = turned
    paths = write_model(tmp_path / "model", change=change)
    expected = np.rot90(stored, -1) if upright else stored
    predictor = Predictor(*paths, device="cpu")
    assert (predictor(path).labels == expected).mean() > 0.99
    for orientation, labels in (("stored", stored), ("exif", np.rot90(stored, -1))):
        assert (Predictor(*paths, device="cpu", orientation=orientation)(path).labels == labels).mean() > 0.99
    export_model(load_trained(*paths, device="cpu"), [render_colors(1)[0]], tmp_path / "m.onnx")
    assert (Predictor(tmp_path / "m.onnx")(path).labels == expected).mean() > 0.99


def test_refinement_turns_the_pictures_as_the_prediction_did(tmp_path, turned):
    path, stored = turned
    config, checkpoint = write_model(tmp_path / "model")
    (tmp_path / "same.py").write_text(
        "refiner = dict(type='mmstreet.VoteRefiner', source=dict(type='mmstreet.SuperpixelMasks', area_px=9), purity=1.1)\n"
    )
    out = tmp_path / "out"
    assert main(["predict", str(path.parent), "-c", config, "-k", checkpoint, "--device", "cpu", "--out", str(out)]) == 0
    assert json.loads((out / "run.json").read_text())["orientation"] == "exif"
    arguments = [str(path.parent), str(out), "--refine", str(tmp_path / "same.py"), "--out", str(tmp_path / "refined")]
    assert main(["refine", *arguments]) == 0
    refined = read_ids(tmp_path / "refined/labels/a.png")
    assert (refined == np.rot90(stored, -1)).mean() > 0.99


def test_a_grey_network_sees_the_grey_values_that_its_loader_reads(tmp_path):
    """Logits of three classes from one channel: grey below 80, between, and above 160."""
    change = loader('dict(type="LoadImageFromFile", color_type="grayscale")') + (
        'model["data_preprocessor"].update(mean=[0.0], std=[1.0], bgr_to_rgb=False)\n'
        'model["decode_head"].update(in_channels=1, channels=1)\n'
    )
    config, checkpoint = write_model(tmp_path / "model", change=change)
    content = torch.load(checkpoint)
    content["state_dict"] = {
        "decode_head.conv_seg.weight": torch.tensor([0.0, 1, 2]).reshape(3, 1, 1, 1),
        "decode_head.conv_seg.bias": torch.tensor([0.0, -80, -240]),
    }
    torch.save(content, checkpoint)
    image = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)
    path = write_png(tmp_path / "a.png", image)
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(int)
    expected = (grey > 80).astype(int) + (grey > 160)
    predictor = Predictor(config, checkpoint, device="cpu")
    np.testing.assert_array_equal(predictor(path).labels, expected)
    assert (predictor(image).labels == expected).mean() > 0.98  # an array is turned grey with OpenCV's other rounding
    with pytest.raises(LaunchError, match="reads grey images, which an exported file cannot"):
        export_model(load_trained(config, checkpoint, device="cpu"), [image], tmp_path / "m.onnx")


def test_channels_that_no_picture_has_are_named(tmp_path):
    change = loader('dict(type="LoadImageFromFile", color_type="unchanged")')
    predictor = Predictor(*write_model(tmp_path / "model", change=change), device="cpu")
    image, truth = render_colors(0)
    np.testing.assert_array_equal(predictor(write_png(tmp_path / "rgb.png", image)).labels, truth)
    write_png(tmp_path / "rgba.png", np.concatenate([image, image[..., :1]], axis=2))
    with pytest.raises(ValueError, match=r"the config's loader gives uint8 \[24, 36, 4\] for '.*rgba.png'"):
        predictor(tmp_path / "rgba.png")


def test_another_orientation_is_refused(tmp_path):
    with pytest.raises(ValueError, match="orientation must be 'stored' or 'exif', not 'up'"):
        Predictor(*write_model(tmp_path), device="cpu", orientation="up")


def test_videos_follow_the_same_rule(tmp_path):
    path = write_video(tmp_path / "a.mp4", count=3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 8 + 4 + 4 + 4 + 8 + 2 + 2 + 2 + 2
    assert struct.unpack(">9i", data[matrix : matrix + 36]) == (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    stored, upright = VideoReader(path), VideoReader(path, orientation="exif")
    assert stored.size_hw == upright.size_hw[::-1]
    assert stored.size_hw[1] > stored.size_hw[0]
    for frame, other in zip(stored, upright, strict=True):
        assert frame.shape == (*stored.size_hw, 3)
        np.testing.assert_array_equal(np.rot90(frame, -1), other)
