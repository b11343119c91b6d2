"""A ``data.yaml`` says what data is and which classes are learned, or is refused by file, key and nearest name."""

import numpy as np
import pytest
import yaml

from mmstreet.datasets.data_file import is_data_file, read_data_file
from mmstreet.datasets.remap_names import suggest_mapping
from mmstreet.label_table import LabelTable

LAYOUT = {"image_dir": "images", "label_dir": "labels", "image_suffix": ".jpg", "label_suffix": ".png"}
CLASSES = [{"name": "road", "id": 7}, {"name": "tree", "id": 2}, {"name": "Person", "id": 3}, {"name": "rider", "id": 4}]


def write(path, **changes):
    content = {"root": ".", "layout": LAYOUT, "splits": {"train": "train", "val": "val"}, "classes": CLASSES, **changes}
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return path


def test_rows_and_folders_are_read(tmp_path):
    data = read_data_file(write(tmp_path / "data.yaml", name="mine", image_hw=[3, 4]))
    (part,) = data.parts
    assert (data.name, data.table.names, data.image_hw) == ("mine", ("road", "tree", "Person", "rider"), (3, 4))
    assert (part.root, part.splits, part.mapping) == (tmp_path, {"train": "train", "val": "val"}, None)
    assert part.table.raw_to_train[[7, 2, 3, 4, 5]].tolist() == [0, 1, 2, 3, 255]


def test_classes_may_be_names_or_a_known_table(tmp_path):
    assert read_data_file(write(tmp_path / "a.yaml", classes=["road", "tram"])).table.raw_to_train[:3].tolist() == [0, 1, 255]
    assert read_data_file(write(tmp_path / "b.yaml", classes="street6")).table.name == "street6"


def test_a_remap_goes_by_names_many_to_one(tmp_path):
    remap = {"to": ["person", "vegetation", "road"], "classes": {"tree": "vegetation", "rider": "person", "road": None}}
    (part,) = (data := read_data_file(write(tmp_path / "data.yaml", remap=remap))).parts
    assert data.table.names == ("person", "vegetation", "road")
    assert part.mapping == {"tree": "vegetation", "Person": "person", "rider": "person"}


def test_classes_that_a_remap_does_not_name_can_become_one(tmp_path):
    remap = {"to": ["person", "other"], "rest": "other", "classes": {"rider": None}}
    (part,) = read_data_file(write(tmp_path / "data.yaml", remap=remap)).parts
    assert part.mapping == {"road": "other", "tree": "other", "Person": "person"}


def test_sets_are_joined_under_one_table_also_sets_of_sets(tmp_path):
    (tmp_path / "b").mkdir()
    write(tmp_path / "a.yaml", name="a")
    write(tmp_path / "b/data.yaml", name="b", remap={"to": ["human", "plant"], "classes": {"Person": "human", "tree": "plant"}})
    both = {
        "sets": [{"data": "a.yaml", "remap": {"tree": "vegetation"}}, {"data": "b/data.yaml", "remap": {"human": "person"}, "repeat": 2}]
    }
    (tmp_path / "both.yaml").write_text(yaml.safe_dump({**both, "classes": ["person", "vegetation"]}))
    (tmp_path / "all.yaml").write_text(yaml.safe_dump({"sets": [{"data": "both.yaml", "splits": ["train"]}], "classes": ["person"]}))
    a, b = read_data_file(tmp_path / "both.yaml").parts
    assert a.mapping == {"tree": "vegetation", "Person": "person"}
    assert (b.mapping, b.repeat, b.root) == ({"Person": "person"}, 2, tmp_path / "b")
    a, b = read_data_file(tmp_path / "all.yaml").parts
    assert (a.mapping, b.mapping, b.splits) == ({"Person": "person"}, {"Person": "person"}, {"train": "train"})
    assert is_data_file(tmp_path / "all.yaml")


def test_shares_of_joined_sets_come_from_the_pixels_of_all(tmp_path):
    write(tmp_path / "a.yaml", counts={"train": {"pixels": {"road": 50, "tree": 30, "Person": 15, "rider": 5}}})
    write(tmp_path / "b.yaml", classes=["road", "sky"], counts={"train": {"pixels": {"road": 100, "sky": 300}}})
    sets = [{"data": "a.yaml", "remap": {"rider": "person"}, "repeat": 3}, {"data": "b.yaml"}]
    (tmp_path / "both.yaml").write_text(yaml.safe_dump({"sets": sets, "classes": ["road", "person", "sky"]}))
    counts = np.array([3 * 50 + 100, 3 * (15 + 5), 300])
    table = read_data_file(tmp_path / "both.yaml").table
    assert [row.share for row in table.labels] == pytest.approx((100 * counts / counts.sum()).tolist())
    assert isinstance(table, LabelTable)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"clases": []}, "unknown key 'clases'; did you mean 'classes'"),
        ({"root": None}, "'root' is missing"),
        ({"root": "nowhere"}, "root .*nowhere' is no folder"),
        ({"layout": "cityscape"}, "unknown key 'cityscape'; did you mean 'cityscapes'"),
        ({"layout": {**LAYOUT, "imagedir": "x"}}, "unknown key 'imagedir'; did you mean 'image_dir'"),
        ({"splits": {"training": "a"}}, "unknown key 'training'; did you mean 'train'"),
        ({"splits": {"train": "a.txt"}}, "list file .*a.txt' does not exist"),
        ({"splits": {}}, "splits must name train, val or test"),
        ({"classes": "camvid"}, "unknown class table 'camvid'"),
        ({"classes": [{"name": "a", "id": 300}]}, "id must be a whole number from 0 to 254"),
        ({"classes": [{"name": "a", "colour": [1, 2, 3]}]}, "unknown key 'colour'; did you mean 'color'"),
        ({"classes": 3}, "expected rows such as"),
        ({"remap": {"to": ["a"], "classes": {"rode": "a"}}}, "class 'rode' is not in .*; did you mean 'road'"),
        ({"remap": {"to": ["walker"], "classes": {"Person": "walkr"}}}, "class 'walkr' is not in .*; did you mean 'walker'"),
        ({"remap": {"to": ["a", "b"]}}, "no class of .* is one of"),
        ({"remap": {"to": ["a"], "rest": "b"}}, "class 'b' is not in"),
        ({"image_hw": [0, 5]}, "image_hw must be"),
        ({"name": "../x"}, "name must be a text"),
    ],
)
def test_what_is_wrong_is_named_with_the_nearest(changes, sentence, tmp_path):
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        read_data_file(write(tmp_path / "data.yaml", **changes))


@pytest.mark.parametrize(
    ("sets", "sentence"),
    [
        ([], "sets must be a list"),
        ([{"data": "c.yaml"}], "data file .*c.yaml' does not exist"),
        ([{"data": "data.yaml"}], "names itself"),
        ([{"data": "a.yaml", "repeat": 0}], "repeat must be a whole number"),
        ([{"data": "a.yaml", "splits": ["trains"]}], "splits must be some of"),
        ([{"data": "a.yaml", "remaps": {}}], "unknown key 'remaps'; did you mean 'remap'"),
        ([{"data": "a.yaml", "remap": {"tree": "roads"}}], "set 1: class 'roads' .* did you mean 'road'"),
    ],
)
def test_sets_that_do_not_fit_are_named(sets, sentence, tmp_path):
    write(tmp_path / "a.yaml")
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"sets": sets, "classes": ["road"]}))
    with pytest.raises((ValueError, FileNotFoundError), match=sentence):
        read_data_file(tmp_path / "data.yaml")


@pytest.mark.parametrize("content", ["{", "- 1", "", "root: [", "a: !!python/object:os.system x"])
def test_what_is_no_description_is_refused(content, tmp_path):
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"data\.yaml"):
        read_data_file(tmp_path / "data.yaml")
    assert not is_data_file(tmp_path / "data.yaml")


def test_names_that_mean_the_same_are_suggested():
    names = ("road", "sidewalk", "vegetation", "person", "rider", "bicycle", "traffic light")
    found = suggest_mapping(["Road", "pavement", "tree", "pedestrian", "bicyclist", "Traffic_Light", "sky"], names)
    assert found == {
        **{"Road": "road", "pavement": "sidewalk", "tree": "vegetation"},
        **{"pedestrian": "person", "Traffic_Light": "traffic light"},
    }
