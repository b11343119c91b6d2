"""The whole path through SAM, SAM 2 and SAM-HQ with tiny random models, and everything that may be wrong with weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmstreet.refine.components import find_components
from mmstreet.refine.prompting import make_prompts
from mmstreet.refine.proposals import MaskPredictor, MaskProposer, Prompts
from mmstreet.refine.sam import SAMMasks
from mmstreet.refine.sam_refiner import SAMRefiner
from mmstreet.registry import MASK_SOURCES, REFINERS
from tests.helpers.tiny_sam import save_tiny

pytest.importorskip("transformers")
pytestmark = pytest.mark.filterwarnings("ignore")
CONFIGS = Path(__file__).parents[2] / "configs"
FAMILIES = ("sam", "sam2", "sam_hq")
SIZE_HW = (48, 96)
CLASSES = ("road", "car", "person")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    return {family: save_tiny(family, root / family) for family in FAMILIES}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)


@pytest.fixture
def labels():
    labels = np.zeros(SIZE_HW, np.uint8)
    labels[4:20, 8:30] = labels[22:40, 60:90] = 1
    labels[28:46, 10:22] = 2
    return labels


@pytest.fixture
def probs(labels):
    probs = np.full((3, *SIZE_HW), 0.1, np.float32)
    np.put_along_axis(probs, labels[None].astype(np.int64), 0.8, 0)
    return probs


def ask(labels, **settings):
    return make_prompts(find_components(labels, [1, 2]), labels, **settings)


def full(masks):
    drawn = np.zeros((len(masks), *masks.size_hw), bool)
    for mask, window, crop in zip(drawn, masks.windows, masks.crops):
        mask[window] = crop
    return drawn


def by_the_model_itself(source, image, prompts):
    """One prompt at a time through the model's own forward pass, from pixels to a mask of the image's size."""
    height, width = image.shape[:2]
    square = source.family == "sam2"
    inner = (64, 64) if square else (64 * height // width, 64)
    pixels = torch.nn.functional.interpolate(torch.from_numpy(image).permute(2, 0, 1)[None].float(), inner, mode="bilinear", antialias=True)
    pixels = (pixels / 255 - torch.tensor([0.485, 0.456, 0.406])[:, None, None]) / torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    pixels = torch.nn.functional.pad(pixels, (0, 0, 0, 64 - inner[0]))
    factor = torch.tensor([64 / width, inner[0] / height])
    masks, scores = [], []
    for i in range(len(prompts)):
        with torch.no_grad():
            answer = source.model(
                pixel_values=pixels,
                input_points=(torch.from_numpy(prompts.points_xy[i : i + 1])[None] * factor).float(),
                input_labels=torch.from_numpy(prompts.point_labels[i : i + 1])[None],
                input_boxes=(torch.from_numpy(prompts.boxes_xyxy[i : i + 1])[None] * factor.repeat(2)).float(),
                multimask_output=False,
            )
        low = answer.pred_masks[0, 0]
        size = (height, width) if square else (width, width)
        masks.append(torch.nn.functional.interpolate(low[None], size, mode="bilinear")[0, 0, :height, :width].numpy() > 0)
        scores.append(float(answer.iou_scores[0, 0, 0]))
    return np.array(masks), np.clip(scores, 0, 1)


@pytest.mark.parametrize("family", FAMILIES)
class TestEveryFamily:
    def test_batched_answers_equal_the_models_own_one_by_one(self, family, folders, image, labels):
        source = SAMMasks(weights=folders[family], family=family, batch_size=2)
        prompts = ask(labels)
        predicted = source.predict(image, prompts)
        expected, scores = by_the_model_itself(source, image, prompts)
        assert len(predicted) == 3
        assert 0 < expected.mean() < 1
        assert (full(predicted) != expected).mean() < 1e-3  # sums of floats in another order
        np.testing.assert_allclose(predicted.scores, scores, atol=1e-4)

    def test_the_image_is_encoded_once(self, family, folders, image, labels, monkeypatch):
        source = SAMMasks(weights=folders[family], batch_size=1)
        calls, encode = [], source.model.get_image_embeddings
        monkeypatch.setattr(source.model, "get_image_embeddings", lambda pixels: calls.append(pixels.shape) or encode(pixels))
        source.predict(image, ask(labels))
        assert calls == [(1, 3, 64, 64)]

    def test_logits_cover_the_prompts_box_and_agree_with_the_mask(self, family, folders, image, labels):
        prompts = ask(labels)
        predicted = SAMMasks(weights=folders[family]).predict(image, prompts)
        for box, asked, crop, logits in zip(predicted.boxes_xyxy, prompts.boxes_xyxy, predicted.crops, predicted.logits):
            assert (box[:2] <= asked[:2]).all()
            assert (box[2:] >= asked[2:]).all()
            np.testing.assert_array_equal(logits.astype(np.float32) > 0, crop & (logits != 0))

    def test_mask_prompts_and_negative_points_reach_the_decoder(self, family, folders, image, labels, probs):
        source = SAMMasks(weights=folders[family], batch_size=2)
        plain = source.predict(image, ask(labels))
        drawn = source.predict(image, ask(labels, probs=probs, class_ids=[0, 1, 2]))
        pointed = source.predict(image, ask(labels, negatives=2))
        assert len(drawn) == len(pointed) == len(plain)
        assert (full(drawn) != full(plain)).any()
        assert (full(pointed) != full(plain)).any()

    def test_of_several_answers_that_with_the_largest_overlap_is_taken(self, family, folders, image, labels):
        source = SAMMasks(weights=folders[family], multimask=True)
        prompts = ask(labels)
        predicted = full(source.predict(image, prompts))
        frame, embedding = source._encode(image)
        low, _ = source._decode(embedding, frame, prompts, range(3), multimask=True)
        whole = (slice(0, SIZE_HW[0]), slice(0, SIZE_HW[1]))
        for i, component in enumerate(find_components(labels, [1, 2])):
            region = np.zeros(SIZE_HW, bool)
            region[component.window] = component.crop
            masks = [frame.sample(mask, whole) > 0 for mask in low[i]]
            overlaps = [(mask & region).sum() / (mask | region).sum() for mask in masks]
            assert len(overlaps) == 3
            assert (predicted[i] & region).sum() / (predicted[i] | region).sum() == pytest.approx(max(overlaps))

    def test_proposals_pass_the_filters(self, family, folders, image):
        everything = SAMMasks(weights=folders[family], points_per_side=4, min_score=-9, min_stability=0, max_iou=1, min_area_px=1)
        predicted = everything.propose(image)
        assert len(predicted) > 3
        assert (np.diff(predicted.scores) <= 0).all()
        for box, crop in zip(predicted.boxes_xyxy, predicted.crops):
            assert crop.shape == (box[3] - box[1], box[2] - box[0])
            assert all(edge.any() for edge in (crop[0], crop[-1], crop[:, 0], crop[:, -1]))  # tight
        middle = float(np.median(predicted.scores))
        strict = SAMMasks(weights=folders[family], points_per_side=4, min_score=middle, min_stability=0, max_iou=1, min_area_px=40)
        kept = strict.propose(image)
        assert 0 < len(kept) < len(predicted)
        assert (kept.areas >= 40).all()
        assert len(SAMMasks(weights=folders[family], points_per_side=2, min_score=2.0).propose(image)) == 0

    def test_it_refines_from_a_config(self, family, folders, image, labels, probs):
        cfg = dict(type="mmstreet.SAMRefiner", weights=str(folders[family]), source=dict(family=family))
        for strategy, settings in (("prompts", dict(min_score=0.0, min_iou=0.0, area_ratio=(0, 99))), ("vote", dict(purity=0.1))):
            grid = dict(points_per_side=4, min_score=-9, min_stability=0, min_area_px=1) if strategy == "vote" else {}
            source = dict(cfg["source"], **grid)
            built = REFINERS.build(dict(cfg, strategy=strategy, settings=settings, source=source), default_args=dict(classes=CLASSES))
            refined, record = built(image, probs)
            assert record.refiner == "SAMRefiner"
            assert len(record.regions) > 0
            assert set(np.unique(refined)) <= {0, 1, 2}
        strict = REFINERS.build(dict(cfg, settings=dict(min_score=1.1)), default_args=dict(classes=CLASSES))
        refined, record = strict(image, probs)
        np.testing.assert_array_equal(refined, labels)
        assert list(record.verdicts) == ["refused, score"]

    def test_no_prompt_needs_no_encoding(self, family, folders, image, labels):
        source = SAMMasks(weights=folders[family])
        source.model.get_image_embeddings = None
        none = make_prompts([], labels)
        assert len(source.predict(image, none)) == 0

    @pytest.mark.parametrize("size_hw", [(1, 1), (200, 3), (64, 64)])
    def test_images_of_any_shape_go_through(self, family, folders, size_hw):
        image = np.zeros((*size_hw, 3), np.uint8)
        prompts = Prompts(
            np.array([[0, 0, size_hw[1], size_hw[0]]], np.float32), np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.int64)
        )
        predicted = SAMMasks(weights=folders[family], points_per_side=2, min_score=-9).predict(image, prompts)
        assert predicted.size_hw == size_hw
        assert predicted.crops[0].shape == size_hw


def test_both_protocols_are_spoken(folders):
    source = MASK_SOURCES.build(dict(type="mmstreet.SAMMasks", weights=str(folders["sam"])))
    assert isinstance(source, MaskProposer)
    assert isinstance(source, MaskPredictor)


def test_crops_add_masks_and_keep_coordinates(folders, image):
    settings = dict(weights=folders["sam_hq"], points_per_side=4, min_score=-9, min_stability=0, max_iou=0.9, min_area_px=1)
    predicted = SAMMasks(**settings, crop_layers=1).propose(np.tile(image, (4, 4, 1)))
    assert predicted.size_hw == (4 * SIZE_HW[0], 4 * SIZE_HW[1])
    assert len(predicted) > 0


def test_weights_of_another_family_are_refused(folders, tmp_path):
    with pytest.raises(ValueError, match=r"holds a model of type 'sam', expected one of: sam2, sam2_video; give other weights"):
        SAMMasks(weights=folders["sam"], family="sam2")
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ValueError, match="of type 'clip', expected one of: sam, sam_hq, sam2"):
        SAMMasks(weights=tmp_path)
    with pytest.raises(ValueError, match="unknown family 'sam9'"):
        SAMMasks(weights=folders["sam"], family="sam9")
    with pytest.raises(ValueError, match="unknown strategy 'both'"):
        SAMRefiner(classes=CLASSES, weights=folders["sam"], strategy="both")


def test_a_checkpoint_that_lacks_tensors_is_refused(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folders["sam"] / "model.safetensors")
    save_file(
        {k: v for k, v in tensors.items() if "iou_prediction_head" not in k}, tmp_path / "model.safetensors", metadata={"format": "pt"}
    )
    (tmp_path / "config.json").write_text((folders["sam"] / "config.json").read_text())
    with pytest.raises(
        ValueError, match=r"does not fit SamModel: \d+ tensors are missing .* the first is 'mask_decoder.iou_prediction_head"
    ):
        SAMMasks(weights=tmp_path)


def test_weights_that_cannot_be_had_are_named_in_one_sentence(tmp_path, monkeypatch):
    with pytest.raises(OSError, match=r"does not exist; give a folder with config.json, or a name on the hub"):
        SAMMasks(weights=tmp_path / "absent")
    with pytest.raises(OSError, match=r"has no config.json"):
        SAMMasks(weights=tmp_path)
    (tmp_path / "sam_vit_b.pth").write_bytes(b"")
    with pytest.raises(ValueError, match="cannot be read as a checkpoint of SAM or SAM 2"):
        SAMMasks(weights=tmp_path / "sam_vit_b.pth")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OSError, match=r"is neither a folder nor in the local cache, .* copy FOLDER here") as caught:
        SAMMasks(weights="someone/sam-vit-none")
    assert "\n" not in str(caught.value)


def test_several_answers_need_regions_to_choose_by(folders, image):
    prompts = Prompts(np.array([[0, 0, 9, 9]], np.float32), np.zeros((1, 1, 2), np.float32), np.ones((1, 1), np.int64))
    with pytest.raises(ValueError, match="give prompts with regions, or set multimask=False"):
        SAMMasks(weights=folders["sam"], multimask=True).predict(image, prompts)


@pytest.mark.parametrize(
    ("config", "family"),
    [
        ("refine/sam", "sam"),
        ("refine/sam_hq", "sam_hq"),
        ("refine/sam2", "sam2"),
        ("fcn_cityscapes_sam2", "sam2"),
        ("refine/mini_sam", "sam"),
    ],
)
def test_the_configs_take_weights_from_a_folder_and_refine(config, family, folders, image, probs):
    settings = Config.fromfile(CONFIGS / f"{config}.py").refiner
    assert settings.source.family == family
    settings.weights = str(folders[family])
    refined, record = REFINERS.build(settings, default_args=dict(classes=CLASSES))(image, probs)
    assert refined.shape == SIZE_HW
    assert len(record.regions) == sum(region.area_px >= settings.settings.get("min_area_px", 64) for region in record.regions) > 0
    settings.weights = str(folders["sam2" if family != "sam2" else "sam"])
    with pytest.raises(ValueError, match="give other weights"):
        REFINERS.build(settings, default_args=dict(classes=CLASSES))


def test_answers_are_kept_and_survive_another_fusion(folders, image, probs, tmp_path, monkeypatch):
    cfg = dict(type="mmstreet.SAMRefiner", weights=str(folders["sam"]), cache=str(tmp_path), settings=dict(min_score=0.0, min_iou=0.0))
    first, _ = REFINERS.build(cfg, default_args=dict(classes=CLASSES))(image, probs)
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    monkeypatch.setattr(SAMMasks, "_encode", None)  # from here on nothing may be asked
    again, _ = REFINERS.build(cfg, default_args=dict(classes=CLASSES))(image, probs)
    np.testing.assert_array_equal(again, first)
    REFINERS.build(dict(cfg, settings=dict(fusion="priority")), default_args=dict(classes=CLASSES))(image, probs)
