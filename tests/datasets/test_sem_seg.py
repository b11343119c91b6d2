"""The data sets as MMSegmentation builds them: from a config dict, through a pipeline, into samples."""

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmstreet.labels import BDD100K_SEM19, STREET6
from tests.helpers.street_files import make_root, truncate, write_image

LOAD = [dict(type="mmstreet.LoadImage"), dict(type="mmstreet.LoadLabels")]
TO_SIX = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6")
PACK = dict(type="mmseg.PackSegInputs")


def build(name, root, **settings):
    return DATASETS.build(dict(type=f"mmstreet.{name}", data_root=str(root), **settings))


@pytest.mark.parametrize(
    ("name", "layout", "settings"),
    [
        ("BDD100KSemSeg", "bdd100k_10k", {}),
        ("BDD100KSemSeg", "bdd100k_2018", dict(layout="2018")),
        ("CamVidSemSeg", "camvid11", {}),
    ],
)
def test_samples_hold_the_image_and_the_labels_of_the_same_name(name, layout, settings, tmp_path):
    make_root(tmp_path, layout, {"train": ["b", "a", "c"]})  # label i is all class i, in this order
    dataset = build(name, tmp_path, split="train", pipeline=[*LOAD, PACK], **settings)
    found = {sample["data_samples"].img_path[-5]: sample["data_samples"].gt_sem_seg.data.unique().tolist() for sample in dataset}
    assert found == {"a": [1], "b": [0], "c": [2]}
    assert dataset[0]["inputs"].shape == (3, 24, 32)


def test_cityscapes_is_read_from_the_published_files(tmp_path):
    make_root(tmp_path, "cityscapes", {"val": ["ulm/ulm_0"] + [f"ulm/ulm_{i}" for i in range(1, 9)]}, num_classes=9)
    load = [LOAD[0], dict(type="mmstreet.LoadLabels", unlisted="ignore")]
    dataset = build("CityscapesSemSeg", tmp_path, split="val", pipeline=[*load, PACK])
    values = [sample["data_samples"].gt_sem_seg.data.unique().tolist() for sample in dataset]
    assert values == [[255]] * 7 + [[0], [1]]  # labelIds 0-6 are void, 7 is road, 8 sidewalk
    assert dataset.metainfo["classes"] == BDD100K_SEM19.names


def test_classes_and_colours_are_those_of_the_table_after_the_pipeline(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a"]}, num_classes=1)
    dataset = build("BDD100KSemSeg", tmp_path, table="street6", pipeline=[*LOAD, TO_SIX, PACK])
    assert dataset.metainfo["classes"] == STREET6.names
    assert dataset.metainfo["palette"] == STREET6.palette
    assert dataset.label_map is None
    assert not dataset.reduce_zero_label


def test_a_table_that_the_pipeline_does_not_produce_is_an_error(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a"]})
    with pytest.raises(
        ValueError, match=r"in table 'bdd100k_sem19', but the dataset says table='street6'; add dict\(type='mmstreet.RemapLabels'"
    ):
        build("BDD100KSemSeg", tmp_path, table="street6", pipeline=[*LOAD, PACK])
    with pytest.raises(ValueError, match="in table 'street6', but the dataset says table='bdd100k_sem19'"):
        build("BDD100KSemSeg", tmp_path, pipeline=[*LOAD, TO_SIX, PACK])


def test_a_list_file_chooses_images_relative_to_the_data_root(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a", "b"], "val": ["c"]})
    (tmp_path / "mine.txt").write_text("c\ntrain/b.jpg\n")
    dataset = build("BDD100KSemSeg", tmp_path, split="val", ann_file="mine.txt")
    assert [dataset.get_data_info(i)["img_path"].split("10k/")[1] for i in range(len(dataset))] == ["val/c.jpg", "train/b.jpg"]


def test_indices_and_lazy_init_work_as_upstream(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a", "b", "c"]})
    assert len(build("CamVidSemSeg", tmp_path, indices=2)) == 2
    assert len(build("CamVidSemSeg", tmp_path, lazy_init=True)) == 3
    build("CamVidSemSeg", tmp_path / "nowhere", lazy_init=True)


def test_no_images_is_an_error_at_once(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a"]})
    with pytest.raises(FileNotFoundError, match=r"no image '\*\.jpg'.*did you mean 'train'"):
        build("CamVidSemSeg", tmp_path, split="tran")


def test_an_unknown_layout_or_setting_is_refused(tmp_path):
    with pytest.raises(ValueError, match="layout must be one of '10k', '2018', not '100k'"):
        build("BDD100KSemSeg", tmp_path, layout="100k")
    with pytest.raises(TypeError, match="seg_map_sufix"):
        build("BDD100KSemSeg", tmp_path, seg_map_sufix=".png")


def test_a_test_split_without_labels_can_be_read(tmp_path):
    write_image(tmp_path / "images/10k/test/a.jpg")
    dataset = build("BDD100KSemSeg", tmp_path, split="test", pipeline=[LOAD[0], PACK], test_mode=True)
    assert dataset[0]["inputs"].shape == (3, 24, 32)


def test_a_skipped_image_is_replaced_in_training_and_stops_a_test(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a", "b"]})
    truncate(tmp_path / "images/train/a.jpg")
    pipeline = [dict(type="mmstreet.LoadImage", on_broken="skip"), LOAD[1], PACK]
    np.random.seed(0)  # noqa: NPY002 - what mmengine seeds
    sample = build("CamVidSemSeg", tmp_path, pipeline=pipeline)[0]
    assert sample["data_samples"].img_path.endswith("b.jpg")
    with pytest.raises(Exception, match="should not get `None`"):
        build("CamVidSemSeg", tmp_path, pipeline=pipeline, test_mode=True)[0]


def test_a_bad_label_in_a_worker_process_reaches_the_user_with_its_file(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a"]}, num_classes=1)
    (tmp_path / "labels/train/a.png").write_bytes(b"")
    dataset = build("CamVidSemSeg", tmp_path, pipeline=[*LOAD, PACK])
    with pytest.raises(ValueError, match=r"label file .*a\.png is empty"):
        next(iter(DataLoader(dataset, num_workers=1, collate_fn=pseudo_collate)))
