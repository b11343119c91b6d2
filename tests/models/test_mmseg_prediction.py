"""What is taken out of mmseg's hands is known to be its own, and is done as it does it."""

import copy
import types

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS

from mmstreet.engine.launch import load_config
from mmstreet.models import label_resizing
from mmstreet.models.mmseg_prediction import finishes_as_mmseg, resizes_as_mmseg
from mmstreet.predict import Predictor
from mmstreet.predict.inference import build_model
from tests.engine.hooks.test_label_maps import SEGMENTOR
from tests.helpers.leaf_configs import CONFIGS


def build(**changes):
    return MODELS.build(ConfigDict(copy.deepcopy(SEGMENTOR) | changes)).eval()


def test_which_methods_have_to_be_mmsegs_own():
    plain = build()
    assert finishes_as_mmseg(plain)
    assert resizes_as_mmseg(plain)
    slides = build(test_cfg=dict(mode="slide", crop_size=(32, 32), stride=(16, 16)))
    assert finishes_as_mmseg(slides)
    assert not resizes_as_mmseg(slides)
    cascade = dict(type="mmseg.CascadeEncoderDecoder", num_stages=1, decode_head=[SEGMENTOR["decode_head"]])
    assert not resizes_as_mmseg(build(**cascade))
    assert not finishes_as_mmseg(torch.nn.Identity())


@pytest.mark.parametrize("name", ["inference", "whole_inference", "encode_decode", "_forward"])
def test_a_segmentor_with_a_step_of_its_own(name):
    for change in (
        lambda model: setattr(model, name, getattr(model, name)),
        lambda model: setattr(model, "__class__", own(type(model), name)),
    ):
        model = build()
        change(model)
        assert finishes_as_mmseg(model)
        assert not resizes_as_mmseg(model)


@pytest.mark.parametrize("name", ["predict", "predict_by_feat"])
def test_a_head_with_a_step_of_its_own(name):
    model = build()
    model.decode_head.__class__ = own(type(model.decode_head), name)
    assert not resizes_as_mmseg(model)


def own(kind, name):
    return types.new_class("Own", (kind,), exec_body=lambda body: body.update({name: lambda self, *args: getattr(kind, name)(self, *args)}))


@pytest.mark.parametrize(
    ("config", "resizes"), [("deeplabv3_mini_v2", True), ("street_mini", True), ("pixelnet_mini", False), ("carb_mini", False)]
)
def test_the_projects_own_models(config, resizes):
    assert resizes_as_mmseg(build_model(load_config(CONFIGS / f"{config}.py", launcher="none"))) is resizes


CHANGES = {
    "as it is": "",
    "padded": "model['data_preprocessor'].update(test_cfg=dict(size_divisor=48))",
    "corners": "model['decode_head'].update(align_corners=True)",
    "windows": "model.update(test_cfg=dict(mode='slide', crop_size=(48, 48), stride=(32, 32)))",
    "a size of its own": "test_dataloader['dataset']['pipeline'][1].update(scale=(75, 61), keep_ratio=False)",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("compiled_from", [0, float("inf")])
def test_labels_are_those_of_mmsegs_own_prediction(tmp_path, monkeypatch, change, compiled_from):
    if not compiled_from:
        pytest.importorskip("numba")
    monkeypatch.setattr(label_resizing, "COMPILED_FROM", compiled_from)
    cfg = load_config(CONFIGS / "deeplabv3_mini_v2.py", launcher="none")
    (tmp_path / "model.py").write_text(cfg.pretty_text + "\n" + CHANGES[change])
    torch.manual_seed(0)
    torch.save({"state_dict": build_model(Config.fromfile(tmp_path / "model.py")).state_dict()}, tmp_path / "model.pth")
    predictor = Predictor(tmp_path / "model.py", tmp_path / "model.pth", device="cpu", batch_size=3)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((90, 160), (90, 160), (77, 133), (128, 256))]
    found = list(predictor.predict_all(images))
    for image, result in zip(images, found, strict=True):
        ((_, batch),) = predictor.model.make_batches([image], 1.0)
        with torch.inference_mode():
            (theirs,) = predictor.model.model.predict(batch["inputs"], batch["data_samples"])
        np.testing.assert_array_equal(result.labels, theirs.pred_sem_seg.data[0].numpy())
    assert len(np.unique(found[0].labels)) > 2
