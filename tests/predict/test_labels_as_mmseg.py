"""Label maps of a predictor are those of mmseg's own prediction, however images are prepared and whichever way the maps are made."""

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from mmstreet.models import label_resizing
from mmstreet.predict import Predictor
from tests.helpers.color_model import write_model


@MODELS.register_module(force=True)
class MeanColors(nn.Module):
    """A backbone that returns a small copy of the image."""

    def forward(self, x):
        return (nn.functional.avg_pool2d(x, 4, ceil_mode=True),)


STRIDED = """
model["backbone"] = dict(type="MeanColors")
test_dataloader["dataset"]["pipeline"] = test_pipeline = [
    dict(type="LoadImageFromFile"), dict(type="Resize", scale=(128, 64), keep_ratio=True), dict(type="PackSegInputs")]
"""
CHANGES = {
    "as it is": "",
    "padded": "model['data_preprocessor'].update(test_cfg=dict(size_divisor=48))",
    "corners": "model['decode_head'].update(align_corners=True)",
    "windows": "model.update(test_cfg=dict(mode='slide', crop_size=(48, 48), stride=(32, 32)))",
    "a size of its own": "test_pipeline[1].update(scale=(75, 61), keep_ratio=False)",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("compiled_from", [0, float("inf")])
def test_labels_are_those_of_mmsegs_own_prediction(tmp_path, monkeypatch, change, compiled_from):
    if not compiled_from:
        pytest.importorskip("numba")
    monkeypatch.setattr(label_resizing, "COMPILED_FROM", compiled_from)
    predictor = Predictor(*write_model(tmp_path, change=f"{STRIDED}\n{CHANGES[change]}\n"), device="cpu", batch_size=3)
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (*size, 3), np.uint8) for size in ((90, 160), (90, 160), (77, 133), (64, 128))]
    found = list(predictor.predict_all(images))
    for image, result in zip(images, found, strict=True):
        ((_, batch),) = predictor.model.make_batches([image], 1.0)
        with torch.inference_mode():
            (theirs,) = predictor.model.model.predict(batch["inputs"], batch["data_samples"])
        np.testing.assert_array_equal(result.labels, theirs.pred_sem_seg.data[0].numpy())
    assert len(np.unique(found[0].labels)) > 2
