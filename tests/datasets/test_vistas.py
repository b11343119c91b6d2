"""The class table of Mapillary Vistas is the one beside its folders."""

import json

import numpy as np
import pytest
from mmseg.registry import DATASETS

from mmstreet.datasets.vistas import read_vistas_table
from tests.helpers.street_files import write_image, write_labels

ENTRIES = [
    dict(name="animal--bird", readable="Bird", color=[165, 42, 42], instances=True, evaluate=True),
    dict(name="void--unlabeled", readable="Unlabeled", color=[0, 0, 0], instances=False, evaluate=False),
    dict(name="construction--flat--road", readable="Road", color=[128, 64, 128], instances=False, evaluate=True),
    dict(name="nature--sky", readable="Sky", color=[128, 64, 128], instances=False, evaluate=True),
]


@pytest.fixture
def root(tmp_path):
    (tmp_path / "config_v1.2.json").write_text(json.dumps({"labels": ENTRIES, "version": 1.1}))
    write_image(tmp_path / "training/images/a.jpg")
    palette = [channel for entry in ENTRIES for channel in entry["color"]]
    write_labels(tmp_path / "training/v1.2/labels/a.png", np.repeat([[0, 1, 2, 3]], 24, 0).repeat(8, 1), palette=palette)
    return tmp_path


def test_evaluated_classes_keep_their_place_as_id_and_the_others_are_void(root):
    table = read_vistas_table(root / "config_v1.2.json")
    assert table.names == ("bird", "road", "sky")
    assert [label.raw_id for label in table.labels] == [0, 2, 3]
    assert [label.group for label in table.labels] == ["animal", "flat", "sky"]
    assert table.void_ids == (1,)


def test_palette_indices_are_the_ids_even_where_two_classes_share_a_colour(root):
    load = [dict(type="mmstreet.LoadImage"), dict(type="mmstreet.LoadLabels")]
    dataset = DATASETS.build(dict(type="mmstreet.StreetSemSeg", data_root=str(root), pipeline=load))
    assert dataset[0]["gt_seg_map"][0, ::8].tolist() == [0, 255, 1, 2]
    assert dataset.metainfo["classes"] == ("bird", "road", "sky")


def test_a_missing_or_foreign_file_of_classes_is_named(root):
    (root / "config_v1.2.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config_v1\.2\.json' is no list of Mapillary Vistas' classes"):
        read_vistas_table(root / "config_v1.2.json")
    with pytest.raises(FileNotFoundError, match=r"config_v2\.0\.json'.*give classes="):
        read_vistas_table(root / "config_v2.0.json")
