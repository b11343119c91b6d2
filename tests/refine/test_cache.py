"""Masks from the disk equal masks from the source, and are asked for only once."""

import numpy as np
import pytest

from mmstreet.refine.cache import CachedMasks, read_masks, write_masks
from mmstreet.refine.proposals import MaskPredictor, MaskProposer, Masks, Prompts
from mmstreet.registry import MASK_SOURCES


@MASK_SOURCES.register_module(name="CountedMasks", force=True)
class CountedMasks:
    calls = 0

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def propose(self, image):
        type(self).calls += 1
        return Masks.from_full(np.stack([image[..., 0] > 100 + self.shift, image[..., 1] > 100]), scores=np.array([0.25, 0.5], np.float32))


@MASK_SOURCES.register_module(name="CountedAnswers", force=True)
class CountedAnswers:
    calls = 0

    def predict(self, image, prompts):
        type(self).calls += 1
        full = np.zeros((len(prompts), *image.shape[:2]), bool)
        for mask, (x1, y1, x2, y2) in zip(full, prompts.boxes_xyxy.astype(int)):
            mask[y1:y2, x1:x2] = True
        masks = Masks.from_full(full)
        return Masks(masks.boxes_xyxy, masks.crops, masks.scores, masks.size_hw, [crop.astype(np.float16) for crop in masks.crops])


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def no_calls_yet():
    CountedMasks.calls = CountedAnswers.calls = 0


def assert_same(first, second):
    assert first.size_hw == second.size_hw
    np.testing.assert_array_equal(first.boxes_xyxy, second.boxes_xyxy)
    np.testing.assert_array_equal(first.scores, second.scores)
    assert (first.logits is None) == (second.logits is None)
    for a, b in zip([*first.crops, *(first.logits or [])], [*second.crops, *(second.logits or [])], strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype


def test_writing_and_reading_gives_the_masks_back(tmp_path):
    masks = Masks.from_full(np.random.default_rng(0).random((4, 9, 13)) < 0.2)
    write_masks(masks, tmp_path / "a" / "masks.npz")
    assert_same(read_masks(tmp_path / "a" / "masks.npz"), masks)
    none = Masks.from_full(np.zeros((0, 9, 13), bool))
    write_masks(none, tmp_path / "none.npz")
    assert len(read_masks(tmp_path / "none.npz")) == 0
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["none.npz"]  # no temporary file stays


def test_a_source_is_asked_once_for_each_image_and_setting(image, tmp_path):
    cfg = dict(type="mmstreet.CachedMasks", source=dict(type="CountedMasks"), folder=str(tmp_path))
    first = MASK_SOURCES.build(cfg).propose(image)
    again = MASK_SOURCES.build(cfg).propose(image.copy())
    assert CountedMasks.calls == 1
    assert_same(first, again)
    MASK_SOURCES.build(cfg).propose(255 - image)
    assert CountedMasks.calls == 2
    MASK_SOURCES.build(dict(cfg, source=dict(type="CountedMasks", shift=9))).propose(image)
    assert CountedMasks.calls == 3


def test_other_prompts_are_other_questions(image, tmp_path):
    source = CachedMasks(source=dict(type="CountedAnswers"), folder=tmp_path)
    prompts = [Prompts(np.array([[1, 2, x, 9]], np.float32), np.zeros((1, 0, 2), np.float32), np.zeros((1, 0), np.int64)) for x in (8, 12)]
    answers = [source.predict(image, prompt) for prompt in (*prompts, *prompts)]
    assert CountedAnswers.calls == 2
    assert_same(answers[0], answers[2])
    assert_same(answers[1], answers[3])
    assert answers[0].areas.tolist() != answers[1].areas.tolist()


def test_it_can_do_what_its_source_can(tmp_path):
    proposer, predictor = (CachedMasks(source=dict(type=name), folder=tmp_path) for name in ("CountedMasks", "CountedAnswers"))
    assert isinstance(proposer, MaskProposer)
    assert not isinstance(proposer, MaskPredictor)
    assert isinstance(predictor, MaskPredictor)
    assert not isinstance(predictor, MaskProposer)
    with pytest.raises(TypeError, match="needs the config of a source"):
        CachedMasks(source=CountedMasks(), folder=tmp_path)


@pytest.mark.parametrize("damage", [b"", b"no archive", None])
def test_a_damaged_file_is_made_again(image, tmp_path, damage):
    source = CachedMasks(source=dict(type="CountedMasks"), folder=tmp_path)
    first = source.propose(image)
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-30] if damage is None else damage)
    assert_same(source.propose(image), first)
    assert CountedMasks.calls == 2
    assert_same(read_masks(path), first)
