"""Classes of foreign models by name: the stated table, on the class lists of the data sets themselves."""

from pathlib import Path

import pytest
from mmseg.datasets import ADE20KDataset, CityscapesDataset, MapillaryDataset_v1

from mmstreet.labels import get_table
from mmstreet.models.class_names import FOREIGN_NAMES, match_classes

STREET = get_table("bdd100k_sem19").names
DOC = (Path(__file__).parents[2] / "docs/hub.md").read_text()


def matched(dataset, names=STREET):
    given = dataset.METAINFO["classes"]
    return {name: {given[j] for j in group} for name, group in zip(names, match_classes(given, names), strict=True)}


def test_cityscapes_classes_are_bdd100ks():
    assert matched(CityscapesDataset) == {name: {name} for name in STREET}
    shuffled = match_classes(CityscapesDataset.METAINFO["classes"][::-1], STREET)
    assert shuffled == [[18 - i] for i in range(19)]


def test_ade20k_and_mapillary_go_through_the_stated_table():
    ade = matched(ADE20KDataset)
    assert ade["person"] == {"person"}
    assert ade["motorcycle"] == {"minibike"}
    assert ade["vegetation"] == {"tree", "plant", "palm", "flower"}
    assert [name for name, group in ade.items() if not group] == ["rider", "train"]
    vistas = matched(MapillaryDataset_v1)
    assert vistas["rider"] == {"Bicyclist", "Motorcyclist", "Other Rider"}
    assert vistas["train"] == {"On Rails"}
    assert all(vistas.values())
    for data, count in ((ade, 34), (vistas, 37)):
        assert sum(map(len, data.values())) == count
    assert "classes 34 stand for one" in DOC
    assert "66, 37." in DOC


def test_names_of_a_table_of_its_own_count_before_the_nineteen():
    assert match_classes(["van", "Street-Light", "car"], ["car", "van", "streetlight", "pole"]) == [[2], [0], [1], []]
    assert match_classes(["pavement, sidewalk", "cyclist"], get_table("camvid11").names)[4] == [0]
    with pytest.raises(ValueError, match=r"none of the model's 2 classes \(LABEL_0, LABEL_1, …\) stands for one"):
        match_classes(["LABEL_0", "LABEL_1"], STREET)


def test_the_page_states_the_table():
    rows = {name: others for name, others in FOREIGN_NAMES.items() if others}
    assert list(FOREIGN_NAMES) == list(STREET)
    for name, others in rows.items():
        assert f"| {name} | {', '.join(others)} |" in DOC
