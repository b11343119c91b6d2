"""The data sets as MMSegmentation builds them: from a config dict, through a pipeline, into samples."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmstreet.labels import BDD100K_SEM19, STREET6, get_table
from mmstreet.losses.class_weights import resolve_class_weight
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.safety.metric import RoadSafetyMetric
from tests.helpers.street_files import make_root, truncate, write_image, write_labels

LOAD = [dict(type="mmstreet.LoadImage"), dict(type="mmstreet.LoadLabels")]
TO_SIX = dict(type="mmstreet.RemapLabels", source="bdd100k_sem19", target="street6")
PACK = dict(type="mmseg.PackSegInputs")


def build(name, root, **settings):
    return DATASETS.build(dict(type=f"mmstreet.{name}", data_root=str(root), **settings))


@pytest.mark.parametrize(
    ("name", "layout", "settings"),
    [
        ("BDD100KSemSeg", "bdd100k_10k", {}),
        ("BDD100KSemSeg", "bdd100k_2018", dict(layout=2018)),  # as --cfg-options gives it
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


ROWS = [
    dict(name="road", id=7, color=(128, 64, 128), share=60.0),
    dict(name="tram", id=31, color=(0, 80, 100), group="vehicle", thing=True, share=0.3),
    dict(name="sky", id=23),
]
LAYOUT = dict(image_dir="frames", label_dir="masks", image_suffix=".png", label_suffix="_ids.png", unlisted="ignore")


def own_root(root):
    for split in ("train", "val"):
        write_image(root / f"frames/{split}/a.png")
        write_labels(root / f"masks/{split}/a_ids.png", np.repeat([[7, 31, 23, 99]], 24, 0).repeat(8, 1))
    return root


def test_a_set_of_ones_own_is_read_by_the_rows_and_the_layout_of_the_config(tmp_path):
    dataset = build("StreetSemSeg", own_root(tmp_path), classes=ROWS, layout=LAYOUT, pipeline=[*LOAD, PACK])
    assert dataset[0]["data_samples"].gt_sem_seg.data[0, 0, ::8].tolist() == [0, 1, 2, 255]
    assert dataset.metainfo["classes"] == ("road", "tram", "sky")
    assert dataset.metainfo["palette"][:2] == [[128, 64, 128], [0, 80, 100]]
    with pytest.raises(ValueError, match=r"label id 99 in .*a_ids\.png is not in table"):
        build("StreetSemSeg", tmp_path, classes=ROWS, layout={**LAYOUT, "unlisted": "error"}, pipeline=[*LOAD, PACK])[0]


def test_rows_reach_remapping_scores_weights_and_roles(tmp_path):
    target = [dict(name="ground", color=(1, 2, 3), role="road", share=60.0), dict(name="moving", color=(4, 5, 6), share=0.3)]
    remap = dict(type="mmstreet.RemapLabels", source=ROWS, target=target, mapping={"road": "ground", "tram": "moving"}, unlisted="ignore")
    settings = dict(classes=ROWS, layout=LAYOUT, pipeline=[*LOAD, remap, PACK])
    dataset = build("StreetSemSeg", own_root(tmp_path), table=target, **settings)
    assert dataset[0]["data_samples"].gt_sem_seg.data[0, 0, ::8].tolist() == [0, 1, 255, 255]
    with pytest.raises(ValueError, match="labels leave the pipeline in table"):
        build("StreetSemSeg", tmp_path, **settings)

    plain = build("StreetSemSeg", tmp_path, classes=ROWS, layout=LAYOUT)
    metric = StreetIoUMetric()
    metric.dataset_meta = plain.metainfo
    labels = torch.tensor([[0, 1, 2, 2]])
    metric.process({}, [dict(pred_sem_seg=dict(data=labels), gt_sem_seg=dict(data=labels))])
    metric.evaluate(1)
    assert [row["group"] for row in metric.report["per_class"]] == ["flat", "vehicle", "sky"]
    safety = RoadSafetyMetric()
    safety.dataset_meta = plain.metainfo
    assert safety.analyzer.roles["tram"] == "vehicle"

    weights = resolve_class_weight(dict(table=target, method="inverse", normalize="none", clip=None))
    assert weights == pytest.approx([60.3 / 60, 60.3 / 0.3])
    with pytest.raises(ValueError, match=r"share of every class, but .* has none for sky"):
        resolve_class_weight(dict(table=ROWS))


def test_background_of_ones_own_is_no_class_over_the_whole_scene():
    rows = [dict(name="tram", group="vehicle", share=1.0), dict(name="background", share=99.0)]
    metric = StreetIoUMetric(scope="scene")
    metric.dataset_meta = get_table(rows).metainfo
    labels = torch.tensor([[0, 1, 1, 1]])
    metric.process({}, [dict(pred_sem_seg=dict(data=torch.tensor([[0, 0, 0, 0]])), gt_sem_seg=dict(data=labels))])
    metric.evaluate(1)
    (row,) = metric.report["per_class"]
    assert (row["class"], row["group"], row["IoU"]) == ("tram", "vehicle", 25.0)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([dict(name="a", colour=(1, 2, 3))], "row 0: unknown key 'colour'; did you mean 'color'"),
        ([dict(id=3)], "row 0: 'name' is missing"),
        ([dict(name="a"), dict(name="a", id=4)], "class names must be unique, but 'a' is there 2 times"),
        ([dict(name="a", id=3), dict(name="b", id=3)], "ids must be unique, but 3 is there 2 times"),
        ([dict(name="a", color=(1, 2, 3)), dict(name="b", color=[1, 2, 3])], r"colours must be unique, but \(1, 2, 3\)"),
        ([dict(name="a", id=255)], "id must be a whole number from 0 to 254"),
        ([dict(name="a", color=(1, 2))], "color must be three whole numbers"),
        ([dict(name="a", share=101)], "share must be a per cent"),
        ([], "there is no class"),
        (["road"], r"row 0: expected dict\(name=…"),
    ],
)
def test_a_wrong_row_is_refused_with_the_reason(rows, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        build("StreetSemSeg", tmp_path, classes=rows, layout=LAYOUT, lazy_init=True)


def test_what_a_row_leaves_out_is_the_place_and_what_the_class_of_that_name_has(tmp_path):
    table = build("StreetSemSeg", tmp_path, classes=[dict(name="car"), dict(name="crane")], layout=LAYOUT, lazy_init=True).table
    car, crane = table.labels
    assert (car.raw_id, car.color, car.group, car.is_thing, car.share) == (0, (0, 0, 142), "vehicle", True, None)
    assert (crane.raw_id, crane.group, crane.is_thing) == (1, "other", False)


def test_a_known_set_is_recognised_by_its_folders(tmp_path):
    make_root(tmp_path / "c", "cityscapes_train_ids", {"train": ["a", "b"]})
    assert build("StreetSemSeg", tmp_path / "c", pipeline=LOAD)[1]["gt_seg_map"].max() == 1
    assert build("CityscapesSemSeg", tmp_path / "c", pipeline=LOAD)[1]["gt_seg_map"].max() == 1
    make_root(tmp_path / "v", "camvid_segnet", {"val": ["a"]}, num_classes=1)
    assert len(build("CamVidSemSeg", tmp_path / "v", split="val")) == 1
    make_root(tmp_path / "b", "bdd100k_2018", {"train": ["a"]})
    assert len(build("BDD100KSemSeg", tmp_path / "b")) == 1
    with pytest.raises(FileNotFoundError, match="has the folders of no known layout"):
        build("StreetSemSeg", tmp_path)


def test_the_layout_of_a_data_set_says_how_its_labels_are_read(tmp_path):
    write_image(tmp_path / "leftImg8bit/train/a_leftImg8bit.png")
    write_labels(tmp_path / "gtFine/train/a_gtFine_labelIds.png", np.full((24, 32), 5))  # a class that Cityscapes does not evaluate
    assert build("CityscapesSemSeg", tmp_path, pipeline=LOAD)[0]["gt_seg_map"].min() == 255
    strict = [LOAD[0], dict(type="mmstreet.LoadLabels", unlisted="error")]
    with pytest.raises(ValueError, match="label id 5"):
        build("CityscapesSemSeg", tmp_path, pipeline=strict)[0]


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
