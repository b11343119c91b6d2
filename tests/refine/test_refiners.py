"""What every refiner promises: identity where nothing is accepted, no invented class, void untouched, ids permuted in and out."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mmstreet.labels import get_table
from mmstreet.refine.configured import build_refiner, read_refiner
from mmstreet.refine.crf import CRFRefiner
from mmstreet.refine.refiners import PromptRefiner, VoteRefiner
from mmstreet.registry import REFINERS
from tests.helpers.refine_oracles import Answers, FixedBoxes, FixedMasks, random_prediction, region_at, vote_on_full_maps

pytest.importorskip("pydensecrf.densecrf")
CLASSES = ("road", "pole", "car", "sky", "person")
CAMVID = get_table("camvid11").names
SIZE_HW = (24, 36)


def disc(box, point):
    """Answer with an ellipse in the box."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    (x1, y1, x2, y2) = box
    return ((x - (x1 + x2 - 1) / 2) / (x2 - x1) * 2) ** 2 + ((y - (y1 + y2 - 1) / 2) / (y2 - y1) * 2) ** 2 <= 1


def tiles(step=5):
    """Squares that cover the image."""
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    tile = y // step * 100 + x // step
    return np.array([tile == t for t in np.unique(tile)])


ASK = {"min_area_px": 4, "min_iou": 0.3}
REFINING = {
    "vote": lambda classes: VoteRefiner(classes=classes, source=FixedMasks(tiles()), purity=0.3),
    "soft vote off": lambda classes: VoteRefiner(classes=classes, source=FixedMasks(tiles()), soft=False),
    "logits": lambda classes: PromptRefiner(classes=classes, source=Answers(disc), **ASK),
    "priority": lambda classes: PromptRefiner(classes=classes, source=Answers(disc), fusion="priority", negatives=2, **ASK),
    "crf": lambda classes: CRFRefiner(classes=classes, iterations=3, bi_xy=20, bi_rgb=20),
}


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (*SIZE_HW, 3), dtype=np.uint8)


@pytest.fixture
def probs():
    return random_prediction(np.random.default_rng(1), len(CLASSES), SIZE_HW, block=6)


@pytest.mark.parametrize("name", REFINING)
class TestEveryRefiner:
    def test_it_refines_and_the_record_adds_up(self, name, image, probs):
        before = probs.argmax(0)
        refined, record = REFINING[name](CLASSES)(image, probs)
        assert refined.dtype == np.uint8
        assert record.changed_px == (refined != before).sum() > 0
        for i in range(len(CLASSES)):
            assert record.lost_px[i] == ((before == i) & (refined != i)).sum()
            assert record.gained_px[i] == ((before != i) & (refined == i)).sum()
        assert json.loads(record.to_json())["changed_px"] == record.changed_px

    def test_tensors_and_arrays_give_the_same(self, name, image, probs):
        refined, _ = REFINING[name](CLASSES)(image, probs)
        again, _ = REFINING[name](CLASSES)(torch.from_numpy(image), torch.from_numpy(probs))
        np.testing.assert_array_equal(refined, again)

    @pytest.mark.parametrize("as_labels", [True, False])
    def test_class_ids_permuted_in_come_permuted_out(self, name, as_labels, image, probs):
        order = np.array([3, 0, 4, 2, 1])  # new id -> old id
        given, permuted = (probs.argmax(0), np.argsort(order)[probs.argmax(0)]) if as_labels else (probs, probs[order])
        refined, _ = REFINING[name](CLASSES)(image, given)
        again, _ = REFINING[name](tuple(CLASSES[i] for i in order))(image, permuted)
        np.testing.assert_array_equal(order[again], refined)

    def test_void_stays_and_does_not_spread(self, name, image, probs):
        labels = probs.argmax(0)
        labels[5:12, 3:20] = 255
        refined, _ = REFINING[name](CLASSES)(image, labels)
        np.testing.assert_array_equal(refined == 255, labels == 255)

    def test_nothing_but_void_comes_back(self, name, image, probs):
        labels = np.full(SIZE_HW, 255)
        refined, record = REFINING[name](CLASSES)(image, labels)
        assert (refined == 255).all()
        assert (record.changed_px, record.regions) == (0, ())

    def test_a_class_that_wins_nowhere_is_not_invented(self, name, image, probs):
        probs = probs.copy()
        probs[2] *= 0.01
        probs /= probs.sum(0)
        refined, _ = REFINING[name](CLASSES)(image, probs)
        assert set(np.unique(refined)) <= set(np.unique(probs.argmax(0))) == {0, 1, 3, 4}

    def test_a_greyscale_image_will_do(self, name, image, probs):
        refined, _ = REFINING[name](CLASSES)(image[..., 0], probs)
        assert refined.shape == SIZE_HW

    def test_what_was_given_is_not_written_to(self, name, image, probs):
        labels = probs.argmax(0).astype(np.uint8)
        kept = labels.copy(), image.copy(), probs.copy()
        refine = REFINING[name](CLASSES)
        refine(image, labels)[0][:] = 9
        refine(image, probs)[0][:] = 9
        for now, then in zip((labels, image, probs), kept):
            np.testing.assert_array_equal(now, then)

    def test_an_image_of_another_size_is_refused(self, name, image, probs):
        with pytest.raises(ValueError, match="resize the probabilities to the image"):
            REFINING[name](CLASSES)(image[:-1], probs)

    def test_a_single_pixel_comes_back(self, name, image, probs):
        refined, _ = REFINING[name](CLASSES)(image[:1, :1], probs[:, :1, :1])
        assert refined.tolist() == probs[:, :1, :1].argmax(0).tolist()


@pytest.mark.parametrize(
    "refine",
    [
        VoteRefiner(classes=CLASSES, source=FixedMasks(np.zeros((0, *SIZE_HW), bool))),
        VoteRefiner(classes=CLASSES, source=FixedMasks(tiles()), purity=1.1),
        PromptRefiner(classes=CLASSES, source=Answers(disc), prompt_classes=[]),
        PromptRefiner(classes=CLASSES, source=Answers(disc), min_area_px=10_000),
        PromptRefiner(classes=CLASSES, source=Answers(disc, score=0.2), min_area_px=4),
        PromptRefiner(classes=CLASSES, source=Answers(disc, score=0.2), min_area_px=4, fusion="priority"),
        PromptRefiner(classes=CLASSES, source=Answers(disc), detector=FixedBoxes(((0, 0, 0, 0), "car", 0.9))),
    ],
    ids=["no mask", "purity", "no class", "too small", "score, logits", "score, priority", "no box"],
)
def test_without_an_accepted_mask_the_input_comes_back(refine, image, probs):
    refined, record = refine(image, probs)
    np.testing.assert_array_equal(refined, probs.argmax(0))
    assert record.changed_px == 0
    assert "accepted" not in record.verdicts


@pytest.mark.parametrize("fusion", ["logits", "priority"])
@pytest.mark.parametrize("as_labels", [True, False])
def test_answers_that_equal_their_regions_change_nothing(fusion, as_labels, image, probs):
    labels = probs.argmax(0)
    source = Answers(region_at(labels))
    refined, record = PromptRefiner(classes=CLASSES, source=source, fusion=fusion, min_area_px=1)(image, labels if as_labels else probs)
    np.testing.assert_array_equal(refined, labels)
    assert record.verdicts == {"accepted": len(record.regions)}
    assert len(source.prompts) == 1  # one call, one encoding, all prompts
    assert len(source.prompts[0]) == len(record.regions) > 5
    assert {region.class_id for region in record.regions} == {1, 2, 4}  # pole, car, person


def test_voting_with_protection_equals_the_loop_over_full_maps(image, probs):
    labels = probs.argmax(0).astype(np.uint8)
    refined, record = VoteRefiner(classes=CLASSES, source=FixedMasks(tiles()), soft=False)(image, probs)
    np.testing.assert_array_equal(refined, vote_on_full_maps(labels, tiles(), protect=(1, 4)))
    assert record.protected_px > 0
    assert record.lost_px[1] == ((labels == 1) & (refined == 4)).sum()


def test_an_accepted_answer_may_trim_its_own_pole_but_nothing_else_may(image):
    labels = np.zeros(SIZE_HW, int)
    labels[2:22, 10:14] = 1  # a pole, one column too wide
    labels[2:22, 30:34] = 1  # another, refused below
    thin = np.zeros(SIZE_HW, bool)
    thin[2:22, 10:13] = True
    refined, record = PromptRefiner(classes=CLASSES, source=Answers(lambda box, point: thin))(image, labels)
    assert record.verdicts == {"accepted": 1, "refused, another region": 1}
    expected = labels.copy()
    expected[2:22, 13] = 0
    np.testing.assert_array_equal(refined, expected)


def test_mask_prompts_need_probabilities(image, probs):
    source = Answers(disc)
    refine = PromptRefiner(classes=CLASSES, source=source, mask_prompt=True, min_area_px=4)
    refine(image, probs)
    assert len(source.prompts[0].mask_logits) == len(source.prompts[0])
    with pytest.raises(ValueError, match="set mask_prompt=False"):
        refine(image, probs.argmax(0))


def test_detected_boxes_take_the_place_of_regions(image):
    labels = np.zeros(SIZE_HW, int)
    labels[4:14, 4:14] = labels[4:14, 15:25] = 2
    boxes = [((3, 3, 14, 14), "car", 0.9), ((26, 2, 34, 20), "person", 0.8)]
    refine = PromptRefiner(classes=CLASSES, source=Answers(disc), detector=FixedBoxes(*boxes), min_area_px=10)
    _, record = refine(image, labels)
    assert [(region.class_id, region.verdict) for region in record.regions] == [
        (4, "refused, too little of this class on the map here"),
        (2, "accepted"),
    ]


def test_a_config_builds_a_refiner_with_its_source():
    cfg = {"type": "mmstreet.VoteRefiner", "purity": 0.6, "source": {"type": "mmstreet.SuperpixelMasks", "area_px": 99}}
    refine = REFINERS.build(cfg, default_args={"classes": "camvid11"})
    assert (refine.purity, refine.source.area_px) == (0.6, 99)
    assert [refine.classes[i] for i in refine.protected] == ["pole", "signsymbol", "fence", "pedestrian", "bicyclist"]


def test_what_is_protected_is_a_word_or_names():
    build = {"source": {"type": "mmstreet.SuperpixelMasks"}}
    names = lambda classes, protect: [classes[i] for i in VoteRefiner(classes=classes, protect=protect, **build).protected]  # noqa: E731
    assert names(CAMVID, "slender") == ["pole", "fence"]
    assert names(CLASSES, "slender") == ["pole"]
    assert names(CLASSES, "thin") == ["pole", "person"]
    assert names(CLASSES, ["car"]) == ["car"]
    assert names(CLASSES, []) == []
    with pytest.raises(ValueError, match="expected 'thin', 'slender' or a list of class names, got 'car'"):
        names(CLASSES, "car")
    with pytest.raises(ValueError, match="class 'tree' is not one of"):
        names(CLASSES, ["tree"])


def test_what_is_asked_about_is_a_word_or_names():
    asked = lambda **words: [CLASSES[i] for i in PromptRefiner(classes=CLASSES, source=Answers(disc), **words).prompt_ids]  # noqa: E731
    assert asked() == asked(prompt_classes="objects") == ["pole", "car", "person"]
    assert asked(prompt_classes="all") == list(CLASSES)
    assert asked(prompt_classes=["sky"]) == ["sky"]
    with pytest.raises(ValueError, match="expected 'objects', 'all' or a list of class names, got 'sky'"):
        asked(prompt_classes="sky")


def test_a_source_that_cannot_do_what_is_needed_is_named():
    with pytest.raises(TypeError, match=r"answer prompts .*; SuperpixelMasks cannot"):
        PromptRefiner(classes=CLASSES, source={"type": "mmstreet.SuperpixelMasks"})
    with pytest.raises(TypeError, match=r"whole image \(propose\); Answers cannot"):
        VoteRefiner(classes=CLASSES, source=Answers(disc))
    with pytest.raises(ValueError, match="unknown fusion 'vote'"):
        PromptRefiner(classes=CLASSES, source=Answers(disc), fusion="vote")


@pytest.mark.parametrize("name", ["superpixel", "crf"])
def test_the_configs_build_refiners_that_run(name, image, probs):
    refine = build_refiner(read_refiner(Path(__file__).parents[2] / "configs" / "refine" / f"{name}.py"), CLASSES)
    refined, record = refine(image, probs)
    assert record.classes == CLASSES
    assert refined.shape == SIZE_HW


def test_a_file_that_is_no_refiner_config_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"refiner config 'gone.py' does not exist, .*; mmstreet comes with: crf,"):
        read_refiner("gone.py")
    (tmp_path / "model.py").write_text("model = dict()\n")
    with pytest.raises(ValueError, match=r"model.py' sets no 'refiner'"):
        read_refiner(tmp_path / "model.py")
