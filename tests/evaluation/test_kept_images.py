"""Which images a test keeps, and that their pictures lie under their label maps: turned as the config's loader turned them."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData
from PIL import Image

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.kept_images import PREDICTION, TRUTH, KeepImagesHook, KeptImage, MapRules, write_kept_images
from mmstreet.evaluation.scene_safety import write_scenes
from mmstreet.files.colors import spread_palette
from mmstreet.files.label_archive import decode_ids
from mmstreet.labels import STREET6
from mmstreet.metrics.semantic import StreetIoUMetric


@pytest.fixture
def sideways(tmp_path):
    """A picture whose left half is white as it is stored, and whose upper half is white as its orientation tag means it."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:, :40] = 255
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "a.jpg", quality=100, exif=exif)
    return str(tmp_path / "a.jpg")


@pytest.mark.parametrize(("orientation", "white"), [("stored", np.s_[:, :30]), ("exif", np.s_[:30])])
def test_pictures_are_turned_as_the_loader_turned_them(tmp_path, sideways, orientation, white):
    maps = {TRUTH: np.zeros((80, 40) if orientation == "exif" else (40, 80), np.int16)}
    kept = [KeptImage(sideways, maps | {PREDICTION: maps[TRUTH]}, {PREDICTION: 100.0})]
    write_kept_images(kept, MapRules(("road",), np.array(spread_palette(1))), tmp_path, orientation=orientation)
    name = json.loads((tmp_path / "images/index.json").read_text())["images"][0]["pictures"]["image"]
    safety = {"best": [{"img_path": sideways}], "worst": []}
    write_scenes(safety, tmp_path, orientation=orientation)
    for path in (tmp_path / "images" / name, tmp_path / safety["best"][0]["picture"]):
        picture = np.asarray(Image.open(path).convert("L"))
        assert picture.shape == maps[TRUTH].shape
        assert picture[white].min() > 200
        assert (picture > 128).mean() == pytest.approx(0.5, abs=0.03)


def make_sample(name, wrong, *, label=3):
    """Ten pixels of one class, of which the first ``wrong`` are predicted as another."""
    preds = torch.full((1, 1, 10), 3)
    preds[..., :wrong] = 255  # no class of the six
    sample = BaseDataElement(metainfo={"img_path": name})
    sample.gt_sem_seg, sample.pred_sem_seg = PixelData(data=torch.full((1, 1, 10), label)), PixelData(data=preds)
    return sample


def keep(samples, *, batch_size=2, **settings):
    metric = StreetIoUMetric(by="row")
    metric.dataset_meta = STREET6.metainfo
    hook = KeepImagesHook(metric, **settings)
    for i in range(0, len(samples), batch_size):
        batch = samples[i : i + batch_size]
        metric.process(None, [sample.to_dict() for sample in batch])
        hook.after_test_iter(None, i, outputs=batch)
    metric.evaluate(len(samples))
    return hook.collect()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_lowest_scores_are_kept_in_order_and_the_predictions_of_all(batch_size):
    samples = [make_sample(f"{wrong}.jpg", wrong) for wrong in (4, 0, 9, 2, 7, 1)]
    kept = keep(samples, worst=3, examples=0, limit=3, batch_size=batch_size)
    assert [x.img_path for x in kept.images] == ["9.jpg", "7.jpg", "4.jpg"]
    assert [x.row["mIoU"] for x in kept.images] == pytest.approx([10, 30, 60])
    assert [x.right[PREDICTION] for x in kept.images] == pytest.approx([10, 30, 60])
    assert decode_ids(kept.images[0].maps[PREDICTION]).tolist() == [[6] * 9 + [3]], (
        "every prediction of no class is the id after the last class"
    )
    assert (decode_ids(kept.images[0].maps[TRUTH]) == 3).all()
    assert kept.images[0].row["slices"] == [{"attribute": "row", "value": "middle third", "mIoU": pytest.approx(10)}], (
        "one row has a middle"
    )
    assert {number: int((decode_ids(data) == 6).sum()) for number, data in kept.predictions.items()} == dict(enumerate((4, 0, 9, 2, 7, 1)))


def test_images_without_a_scored_pixel_are_no_worst_ones_and_repeated_ones_are_kept_once():
    samples = [make_sample("void.jpg", 9, label=255), make_sample("a.jpg", 5), make_sample("b.jpg", 4), make_sample("a.jpg", 5)]
    kept = keep(samples, worst=4, examples=0, limit=4)
    assert [x.img_path for x in kept.images] == ["a.jpg", "b.jpg"]


def test_nothing_is_kept_on_request():
    kept = keep([make_sample("a.jpg", 5)], limit=0)
    assert not kept.images
    assert not kept.predictions


def test_more_classes_than_a_picture_has_ids_are_refused_before_the_test():
    hook = KeepImagesHook(SimpleNamespace(names=range(255)))
    with pytest.raises(LaunchError, match="at most 254 classes, got 255; test with --images 0"):
        hook.before_test(None)
