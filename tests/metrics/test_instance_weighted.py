"""Instance-weighted IoU against a loop that follows Cityscapes' evaluation script step by step, and by hand."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmstreet.formats.bitmask import write_bitmask
from mmstreet.formats.bitmask_codec import encode_bitmask
from mmstreet.labels import BDD100K_SEM19, CITYSCAPES19
from mmstreet.metrics.instance_weighted import CITYSCAPES_SIZES, count_instances, instance_weighted_iou
from mmstreet.metrics.semantic import StreetIoUMetric

NAMES = CITYSCAPES19.names
THINGS = [i for i, label in enumerate(CITYSCAPES19.labels) if label.is_thing]


def published(images, *, sizes=CITYSCAPES_SIZES, members=None):
    """cityscapesScripts: ``evaluatePair`` and ``getInstanceIouScoreForLabel`` or ``ForCategory``, one instance at a time."""
    members = members or [[i] for i in range(19)]
    scores = []
    for ids in members:
        weighted_tp = weighted_fn = false = 0.0
        found = False
        for labels, instances, preds in images:
            for instance in sorted(set(instances[instances >= 1000].tolist())):
                label = CITYSCAPES19.raw_to_train[instance // 1000]
                if label not in ids:
                    continue
                found = True
                mask = instances == instance
                size = np.count_nonzero(mask)
                hits = np.count_nonzero(np.isin(preds[mask], ids))
                weight = sizes[NAMES[label]] / size
                weighted_tp += hits * weight
                weighted_fn += (size - hits) * weight
            false += np.count_nonzero(np.isin(preds, ids) & ~np.isin(labels, [*ids, 255]))
        scores.append(weighted_tp / (weighted_tp + false + weighted_fn) if found else None)
    return scores


def random_images(count=4, seed=0):
    """Maps of rectangles: roads and buildings, things of all sizes, two groups that are no instances, pixels nobody labelled."""
    rng, images = np.random.default_rng(seed), []
    for _ in range(count):
        labels, instances = np.zeros((40, 60), np.int64), np.zeros((40, 60), np.int64)
        labels[:12] = 2
        for number in range(12):
            label = THINGS[rng.integers(5)]
            top, left, height, width = rng.integers(0, 30), rng.integers(0, 50), rng.integers(1, 14), rng.integers(1, 20)
            place = np.s_[top : top + height, left : left + width]
            labels[place] = label
            instances[place] = CITYSCAPES19.labels[label].raw_id * 1000 + number if number > 1 else CITYSCAPES19.labels[label].raw_id
        labels[:, :2] = 255
        instances[:, :2] = 0
        preds = np.where(rng.random(labels.shape) < 0.3, rng.integers(0, 19, labels.shape), np.minimum(labels, 18))
        images.append((labels, instances, preds))
    return images


def write_images(root, images):
    samples = []
    for i, (labels, instances, preds) in enumerate(images):
        Image.fromarray(instances.astype(np.uint16)).save(root / f"{i}_instanceIds.png")
        sample = {key: {"data": torch.from_numpy(ids)[None]} for key, ids in (("gt_sem_seg", labels), ("pred_sem_seg", preds))}
        samples.append(sample | {"img_path": f"{i}.png", "seg_map_path": str(root / f"{i}_labelIds.png")})
    return samples


def evaluate(samples, *, batch=2, meta=CITYSCAPES19.metainfo, **settings):
    metric = StreetIoUMetric(**settings)
    metric.dataset_meta = meta
    for i in range(0, len(samples), batch):
        metric.process(None, samples[i : i + batch])
    return metric.evaluate(len(samples)), metric


@pytest.mark.parametrize("batch", [1, 4])
def test_it_equals_the_evaluation_script_of_cityscapes(tmp_path, batch):
    images = random_images()
    settings = dict(instances=("_labelIds.png", "_instanceIds.png"), instance_sizes="cityscapes")
    values, metric = evaluate(write_images(tmp_path, images), batch=batch, **settings)
    expected = published(images)
    for name, value in zip(NAMES, expected):
        assert values.get(f"iIoU/{name}") == (None if value is None else pytest.approx(100 * value))
    assert values["iIoU"] == pytest.approx(100 * np.mean([value for value in expected if value is not None]))
    categories = [value for value in published(images, members=list(CITYSCAPES19.groups.values())) if value is not None]
    assert values["catiIoU"] == pytest.approx(100 * np.mean(categories))
    low, high = metric.report["intervals"]["scores"]["iIoU"]
    assert low < values["iIoU"] < high
    assert metric.report["intervals"]["scores"]["iIoU/train"] is None


def test_without_sizes_those_of_the_test_set_are_taken(tmp_path):
    images = random_images(seed=1)
    pixels = {i: [np.count_nonzero(one == k) for _, one, _ in images for k in np.unique(one) if k // 1000 == i] for i in range(24, 34)}
    sizes = {NAMES[i]: float(np.mean(found)) for i in THINGS if (found := pixels[CITYSCAPES19.labels[i].raw_id])}
    values, _ = evaluate(write_images(tmp_path, images), instances=("_labelIds.png", "_instanceIds.png"))
    expected = [value for value in published(images, sizes=sizes) if value is not None]
    assert values["iIoU"] == pytest.approx(100 * np.mean(expected))


def test_a_small_missed_object_costs_as_much_as_a_large_one():
    labels, instances = np.zeros((1, 100), np.int64), np.zeros((1, 100), np.int64)
    instances[0, :90], instances[0, 90:] = 1, 2
    preds = labels.copy()
    preds[0, 90:] = 1  # the small one is missed: 10 pixels of 100
    counted = count_instances(instances, labels, preds, num_classes=2)
    assert counted.tolist() == [[2, 100, 1, 1], [0, 0, 0, 0]]
    confusion = np.array([[90, 10, 0], [0, 0, 0], [0, 0, 0]])
    assert instance_weighted_iou(counted, confusion)[0] == 0.5
    assert np.isnan(instance_weighted_iou(counted, confusion)[1])


def test_an_instance_is_of_the_class_that_most_of_its_pixels_have():
    labels, instances = np.array([[0, 0, 0, 1, 255]]), np.array([[7, 7, 7, 7, 7]])
    assert count_instances(instances, labels, np.array([[0, 0, 1, 1, 0]]), num_classes=2).tolist() == [[1, 3, 2 / 3, 2 / 3], [0] * 4]


def test_bitmasks_of_bdd100k_are_read_without_crowds_and_ignored_areas(tmp_path):
    for folder in ("sem_seg/masks", "ins_seg/bitmasks"):
        (tmp_path / folder).mkdir(parents=True)
    car = BDD100K_SEM19.index("car")
    places = np.array([[1, 1, 2, 2, 3, 4]])
    rgba = encode_bitmask(places, [3, 3, 3, 3], [1, 300, 5, 6], crowd=[0, 0, 1, 0], ignored=[0, 0, 0, 1])
    write_bitmask(tmp_path / "ins_seg/bitmasks/a.png", rgba)
    labels, preds = torch.full((1, 1, 6), car), torch.tensor([[[car, car, car, 0, 0, 0]]])
    sample = {"gt_sem_seg": {"data": labels}, "pred_sem_seg": {"data": preds}, "seg_map_path": str(tmp_path / "sem_seg/masks/a.png")}
    values, _ = evaluate([sample], meta=BDD100K_SEM19.metainfo, instances=("sem_seg/masks", "ins_seg/bitmasks"))
    assert values["iIoU/car"] == values["iIoU"] == 75  # one car whole, half of the other


def test_what_cannot_be_used_is_said(tmp_path):
    for pair in ("a.png", ("a", "a"), ("a",), ("", "b")):
        with pytest.raises(ValueError, match="instances must be a pair"):
            StreetIoUMetric(instances=pair)
    with pytest.raises(ValueError, match="instance_sizes must be pixels by class"):
        StreetIoUMetric(instances=("a", "b"), instance_sizes={"car": 0})
    images, pair = random_images(1), ("_labelIds.png", "_instanceIds.png")
    samples = write_images(tmp_path, images)
    with pytest.raises(ValueError, match="has no '_masks'"):
        evaluate(samples, instances=("_masks", "_x"))
    with pytest.raises(ValueError, match=r"instance_sizes has no .*, of which there are instances"):
        evaluate(samples, instances=pair, instance_sizes={"truck": 10.0})
    Image.fromarray(images[0][1].astype(np.uint16)[:20]).save(tmp_path / "0_instanceIds.png")
    with pytest.raises(ValueError, match=r"0_labelIds.png: the instance map is \[20, 60\]"):
        evaluate(samples, instances=pair)
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "0_instanceIds.png")
    with pytest.raises(ValueError, match="none of the 1 instance maps has an instance"):
        evaluate(samples, instances=pair)
    (tmp_path / "0_instanceIds.png").write_bytes(b"no")
    with pytest.raises(ValueError, match="cannot be read as a PNG"):
        evaluate(samples, instances=pair)
    (tmp_path / "0_instanceIds.png").unlink()
    with pytest.raises(FileNotFoundError):
        evaluate(samples, instances=pair)
