"""Label maps of a predictor are those of mmseg's own prediction, however images are prepared and whichever way the maps are made."""

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmstreet.engine.launch import load_config
from mmstreet.models import label_resizing
from mmstreet.predict import Predictor
from mmstreet.predict.inference import build_model
from tests.helpers.leaf_configs import CONFIGS

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
