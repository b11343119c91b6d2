import json

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.labels import CITYSCAPES19, WILDDASH25, get_table
from tests.helpers.street_files import make_root, write_image, write_labels

PIPELINE = [dict(type="mmstreet.LoadImage"), dict(type="PackSegInputs", meta_keys=("img_path", "img_label"))]
KINDS = {
    "mmstreet.WeakBDD100KSemSeg": ("bdd100k_10k", ["a", "b"]),
    "mmstreet.WeakCityscapesSemSeg": ("cityscapes", ["ulm/ulm_000000_000019", "ulm/ulm_000001_000019"]),
    "mmstreet.WeakCamVidSemSeg": ("camvid11", ["a", "b"]),
    "mmstreet.WeakWildDash2SemSeg": ("wilddash2", ["us0044_100000", "us0045_100000"]),
}


def weak_root(root, layout, keys, ids=((0, 2), ())):
    """Images and a file of labels, and no mask at all."""
    scheme = LAYOUTS[layout]
    for key in keys:
        write_image(scheme.expected(root, "train", key)[0])
    content = {"classes": get_table(scheme.table).names, "labels": dict(zip(keys, map(list, ids)))}
    (root / "image_labels_train.json").write_text(json.dumps(content))
    return root


def build(kind, root, **settings):
    init_default_scope("mmseg")
    return DATASETS.build(
        dict(type=kind, data_root=str(root), **{"image_labels": "image_labels_train.json", "pipeline": PIPELINE, **settings})
    )


@pytest.mark.parametrize("kind", KINDS)
def test_samples_carry_their_classes_and_no_mask_is_needed(kind, tmp_path):
    layout, keys = KINDS[kind]
    dataset = build(kind, weak_root(tmp_path, layout, keys))
    classes = get_table(LAYOUTS[layout].table).names
    assert dataset.metainfo["classes"] == classes
    samples = [dataset[i]["data_samples"] for i in range(2)]
    assert [np.flatnonzero(sample.metainfo["img_label"]).tolist() for sample in samples] == [[0, 2], []]
    assert all(len(sample.metainfo["img_label"]) == len(classes) for sample in samples)
    assert not any("gt_sem_seg" in sample for sample in samples)
    assert [dataset.get_data_info(i)["image_key"] for i in range(2)] == keys


def test_pseudo_masks_are_read_as_train_ids(tmp_path):
    layout, keys = KINDS["mmstreet.WeakCityscapesSemSeg"]
    root = weak_root(tmp_path, layout, keys)
    for key in keys:
        write_labels(root / "pseudo" / f"{key}.png", np.full((24, 32), 18))
    pipeline = [PIPELINE[0], dict(type="mmstreet.LoadLabels"), PIPELINE[1]]
    dataset = build("mmstreet.WeakCityscapesSemSeg", root, masks_dir="pseudo", pipeline=pipeline)
    assert torch.equal(dataset[1]["data_samples"].gt_sem_seg.data, torch.full((1, 24, 32), 18))
    (root / "pseudo" / f"{keys[1]}.png").unlink()
    with pytest.raises(FileNotFoundError, match="2 images need a pseudo-mask, but 1 of the files do not exist"):
        build("mmstreet.WeakCityscapesSemSeg", root, masks_dir="pseudo")


def test_a_missing_key_is_named(tmp_path):
    root = weak_root(tmp_path, "camvid11", ["a", "b"])
    write_image(root / "images" / "train" / "c.jpg")
    with pytest.raises(KeyError, match="no image-level labels for 'c'"):
        build("mmstreet.WeakCamVidSemSeg", root)


def test_labels_of_other_classes_are_refused(tmp_path):
    root = weak_root(tmp_path, "camvid11", ["a", "b"])
    (root / "other.json").write_text(json.dumps({"classes": CITYSCAPES19.names, "labels": {}}))
    with pytest.raises(ValueError, match="is made for other classes"):
        build("mmstreet.WeakCamVidSemSeg", root, image_labels="other.json")
    with pytest.raises(FileNotFoundError, match="no image-level labels at"):
        build("mmstreet.WeakCamVidSemSeg", root, image_labels="none.json")


def test_a_test_folder_in_the_path_changes_nothing(tmp_path):
    dataset = build("mmstreet.WeakCamVidSemSeg", weak_root(tmp_path / "test_data", "camvid11", ["a", "b"]))
    assert dataset[0]["data_samples"].metainfo["img_label"].sum() == 2


def test_wilddash_has_25_classes_without_train_and_reads_a_flat_folder(tmp_path):
    assert len(WILDDASH25) == 25
    assert "train" not in WILDDASH25.names
    assert WILDDASH25.names[:3] == ("ego vehicle", "road", "sidewalk")
    assert WILDDASH25.names[-5:] == ("pickup", "van", "billboard", "streetlight", "roadmarking")
    root = make_root(tmp_path, "wilddash2", {".": ["us0", "us1"]}, num_classes=2)
    dataset = DATASETS.build(
        dict(
            type="mmstreet.WildDash2SemSeg", data_root=str(root), split=".", pipeline=[dict(type="mmstreet.LoadLabels", unlisted="ignore")]
        )
    )
    assert dataset[0]["gt_seg_map"].min() == 255  # id 0 is not evaluated
    assert dataset[1]["gt_seg_map"].max() == 0  # id 1 is the ego vehicle
    (root / "labels.json").write_text(json.dumps({"classes": WILDDASH25.names, "labels": {"us0": [0], "us1": [24]}}))
    weak = build("mmstreet.WeakWildDash2SemSeg", root, split=".", image_labels="labels.json")
    assert weak[1]["data_samples"].metainfo["img_label"].nonzero()[0].tolist() == [24]
