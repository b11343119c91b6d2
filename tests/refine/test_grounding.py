"""Grounding DINO with a tiny random model: boxes of classes by name, and Grounded SAM as a whole."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config

from mmstreet.refine.grounding import GroundingDINOBoxes
from mmstreet.refine.proposals import BoxDetector
from mmstreet.registry import REFINERS
from tests.helpers.tiny_sam import save_tiny

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = dict(short_side_px=64, long_side_px=96, min_score=0.0)
NAMES = ("car", "traffic light", "person")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_tiny("grounding-dino", tmp_path_factory.mktemp("dino"))


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (48, 96, 3), dtype=np.uint8)


def test_a_class_scores_as_its_best_token(weights, image):
    detector = GroundingDINOBoxes(weights=weights, **SMALL, max_iou=1.0)
    text, spans = detector._read_text(NAMES)
    assert text["input_ids"][0].tolist() == [
        101,
        1030,
        1012,
        1032,
        1033,
        1012,
        1031,
        1012,
        102,
    ]  # [CLS] car . traffic light . person . [SEP]
    assert spans == [[1], [3, 4], [6]]
    detections = detector.detect(image, NAMES)
    assert isinstance(detector, BoxDetector)
    assert len(detections) == 20  # every query, as nothing is suppressed
    assert (np.diff(detections.scores) <= 0).all()
    assert (detections.boxes_xyxy >= 0).all()
    assert (detections.boxes_xyxy[:, [0, 2]] <= 96).all()
    assert (detections.boxes_xyxy[:, [1, 3]] <= 48).all()
    assert set(detections.class_ids) <= {0, 1, 2}


def test_the_threshold_and_suppression_within_a_class_leave_boxes_out(weights, image):
    everything = GroundingDINOBoxes(weights=weights, **SMALL, max_iou=1.0).detect(image, NAMES)
    middle = float(np.median(everything.scores))
    better = GroundingDINOBoxes(weights=weights, **dict(SMALL, min_score=middle), max_iou=1.0).detect(image, NAMES)
    assert len(better) == (everything.scores >= middle).sum() < 20
    apart = GroundingDINOBoxes(weights=weights, **SMALL, max_iou=0.0).detect(image, NAMES)
    assert 0 < len(apart) <= 20
    for c in set(apart.class_ids):
        boxes = apart.boxes_xyxy[apart.class_ids == c]
        for i, a in enumerate(boxes):
            for b in boxes[i + 1 :]:
                assert (np.minimum(a[2:], b[2:]) <= np.maximum(a[:2], b[:2]) + 1e-4).any()


def test_names_that_cannot_be_asked_for_are_refused(weights, image):
    detector = GroundingDINOBoxes(weights=weights, **SMALL)
    assert len(detector.detect(image, [])) == 0
    with pytest.raises(ValueError, match="must differ"):
        detector.detect(image, ["car", "Car"])
    with pytest.raises(ValueError, match=r"12 class names make \d+ tokens, the model reads 24; ask for fewer classes"):
        detector.detect(image, [f"{'car ' * i}pole" for i in range(12)])


def test_other_weights_and_a_missing_tokenizer_are_named(weights, tmp_path):
    with pytest.raises(ValueError, match="holds a model of type 'sam', expected one of: grounding-dino"):
        GroundingDINOBoxes(weights=save_tiny("sam", tmp_path / "sam"))
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((weights / name).read_bytes())
    with pytest.raises(OSError, match=r"should contain tokenizer\.json, tokenizer_config\.json, vocab\.txt"):
        GroundingDINOBoxes(weights=tmp_path)


def test_the_config_of_grounded_sam_runs_with_weights_from_folders(weights, image, tmp_path):
    cfg = Config.fromfile(Path(__file__).parents[2] / "configs/refine/grounded_sam.py").refiner
    cfg.source.weights, cfg.detector.weights = str(save_tiny("sam", tmp_path / "sam")), str(weights)
    cfg.detector.update(SMALL)
    labels = np.zeros((48, 96), np.uint8)
    labels[10:40, 10:40] = 1
    refined, record = REFINERS.build(cfg, default_args=dict(classes=("road", "car")))(image, labels)
    assert refined.shape == labels.shape
    assert len(record.regions) > 0


def test_grounded_sam_goes_from_names_to_a_refined_map(weights, image, tmp_path):
    sam = save_tiny("sam", tmp_path / "sam")
    cfg = dict(
        type="mmstreet.PromptRefiner",
        source=dict(type="mmstreet.SAMMasks", weights=str(sam)),
        detector=dict(type="mmstreet.GroundingDINOBoxes", weights=str(weights), **SMALL),
        prompt_classes=["car", "person"],
        min_area_px=4,
        min_score=0.0,
        min_iou=0.0,
        area_ratio=(0, 1e9),
    )
    labels = np.zeros((48, 96), np.uint8)
    labels[10:40, 10:40], labels[5:45, 60:90] = 1, 2
    refined, record = REFINERS.build(cfg, default_args=dict(classes=("road", "car", "person")))(image, labels)
    assert {region.class_id for region in record.regions} <= {1, 2}
    assert "accepted" in record.verdicts
    assert set(np.unique(refined)) <= {0, 1, 2}
