"""Models of instances through the same door, with a detector whose answers are known."""

import numpy as np
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import InstanceData
from torch import nn

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

from mmdet.structures import DetDataSample

from mmstreet.__main__ import main
from mmstreet.engine.errors import LaunchError
from mmstreet.predict import Predictor

CONFIG = """
default_scope = "mmdet"
custom_imports = dict(imports=["tests.predict.test_inference"])
model = dict(type="BrightSpots", data_preprocessor=dict(type="DetDataPreprocessor", mean=[0.0], std=[1.0], pad_size_divisor=8))
test_dataloader = dict(dataset=dict(
    type="CocoDataset", metainfo=dict(classes=("car", "person")),
    pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations", with_bbox=True),
              dict(type="PackDetInputs", meta_keys=("img_id", "ori_shape", "img_shape", "scale_factor"))]))
"""


class Head(nn.Module):
    """Says how many classes there are."""

    num_classes = 2


@MODELS.register_module(force=True)
class BrightSpots(BaseModel):
    """Finds what is red in the left half (a car) and in the right half (a person), surer of the brighter one."""

    def __init__(self, data_preprocessor=None, masks=True, boxes=True, same_class=False):
        super().__init__(data_preprocessor)
        self.bbox_head = Head()
        self.masks = masks
        self.boxes = boxes
        self.same_class = same_class
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return inputs

    def predict(self, inputs, data_samples, rescale=True):
        for image, sample in zip(inputs, data_samples):
            height, width = sample.ori_shape
            bright = image[2, :height, :width]
            masks, labels, scores = [], [], []
            for i, half in enumerate((slice(0, width // 2), slice(width // 2, width))):
                mask = torch.zeros(height, width, dtype=torch.bool)
                mask[:, half] = bright[:, half] > 50
                if mask.any():
                    masks.append(mask)
                    labels.append(0 if self.same_class else i)
                    scores.append(float(bright[mask].max()) / 255)
            predicted = InstanceData(
                bboxes=torch.tensor([box_of(mask) for mask in masks]).reshape(-1, 4).float(),
                labels=torch.tensor(labels, dtype=torch.int64),
                scores=torch.tensor(scores),
            )
            if not self.boxes:
                predicted.bboxes = torch.zeros_like(predicted.bboxes)
            if self.masks:
                predicted.masks = torch.stack(masks) if masks else torch.zeros(0, height, width, dtype=torch.bool)
            sample.pred_instances = predicted
        assert all(isinstance(sample, DetDataSample) for sample in data_samples)
        return data_samples


def box_of(mask):
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spots")
    (folder / "spots.py").write_text(CONFIG)
    torch.save({"state_dict": {"scale": torch.ones(1)}, "meta": {"dataset_meta": {"classes": ("car", "person")}}}, folder / "spots.pth")
    return str(folder / "spots.py"), str(folder / "spots.pth")


def scene():
    image = np.zeros((20, 30, 3), np.uint8)
    image[2:8, 3:9, 0] = 128
    image[10:15, 20:28, 0] = 255
    return image


def test_objects_come_surest_first_in_the_images_coordinates(paths):
    result = Predictor(*paths, device="cpu")(scene())
    assert result.instances.class_ids.tolist() == [1, 0]
    assert result.instances.scores.tolist() == pytest.approx([1.0, 128 / 255])
    assert result.instances.boxes_xyxy.tolist() == [[20, 10, 28, 15], [3, 2, 9, 8]]
    assert result.instances.masks.sum((1, 2)).tolist() == [40, 36]
    assert [int(result.labels[y, x]) for y, x in ((12, 22), (4, 5), (0, 0))] == [1, 0, 255]
    assert result.shares == {"car": pytest.approx(6.0), "person": pytest.approx(40 / 6)}


def test_an_empty_image_has_no_objects(paths):
    result = Predictor(*paths, device="cpu")(np.zeros((9, 11, 3), np.uint8))
    assert len(result.instances) == 0
    assert result.instances.masks.shape == (0, 9, 11)
    assert (result.labels == 255).all()


def test_unsure_objects_are_left_out(paths):
    assert len(Predictor(*paths, device="cpu", min_score=0.6)(scene()).instances) == 1


def test_the_mirror_image_shows_the_same_objects_under_the_other_class(paths):
    """What is left there is right here, so every object is found twice, once as each class."""
    predicted = Predictor(*paths, device="cpu", flip=True)(scene()).instances
    assert sorted(zip(predicted.class_ids.tolist(), predicted.boxes_xyxy[:, 0].tolist())) == [(0, 3), (0, 20), (1, 3), (1, 20)]


@pytest.mark.parametrize("flip", [False, True])
def test_boxes_that_a_model_leaves_empty_come_from_the_masks_and_join_the_views(paths, flip):
    """SOLO and its kin give masks and boxes of zeros."""
    options = {"model.boxes": False, "model.same_class": True}
    predicted = Predictor(*paths, device="cpu", flip=flip, cfg_options=options)(scene()).instances
    assert predicted.boxes_xyxy.tolist() == [[20, 10, 28, 15], [3, 2, 9, 8]]
    assert predicted.class_ids.tolist() == [0, 0]


def test_boxes_that_are_not_finite_are_refused(paths):
    predictor = Predictor(*paths, device="cpu")
    original = predictor.model.model.predict

    def spoil(*args, **settings):
        samples = original(*args, **settings)
        samples[0].pred_instances.bboxes[0, 2] = float("nan")
        return samples

    predictor.model.model.predict = spoil
    with pytest.raises(ValueError, match="not finite"):
        predictor(scene())


def test_boxes_without_masks_are_refused(paths):
    with pytest.raises(LaunchError, match="predicts boxes without masks"):
        Predictor(*paths, device="cpu", cfg_options={"model.masks": False})(scene())


def test_a_refiner_for_instances_is_refused(paths):
    with pytest.raises(ValueError, match="a refiner works for semantic models; this one finds instances"):
        Predictor(*paths, device="cpu", refine=lambda image, probs: None)


def test_instances_are_not_exported(paths, tmp_path, capsys):
    from tests.helpers.color_model import write_png

    image = write_png(tmp_path / "a.png", scene())
    assert main(["export", *paths, "--images", str(image), "--out", str(tmp_path / "m.onnx")]) == 1
    assert "only semantic models can be exported" in capsys.readouterr().err
