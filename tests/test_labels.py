import numpy as np
import pytest

from mmstreet import labels as lab


def test_cityscapes_ids_follow_the_published_table():
    lut = lab.CITYSCAPES19.raw_to_train
    assert [int(lut[i]) for i in (7, 8, 11, 17, 19, 24, 33)] == [0, 1, 2, 5, 6, 11, 18]
    assert int((lut == 255).sum()) == 256 - 19


def test_shares_sum_to_one_hundred_and_match_the_published_percentages():
    shares = {row.name: row.share for row in lab.BDD100K_SEM19.labels}
    assert sum(shares.values()) == pytest.approx(100)
    assert shares["road"] == pytest.approx(26.43, abs=0.005)
    assert shares["bicycle"] == pytest.approx(0.02, abs=0.005)


def test_seven_groups_hold_every_class_once():
    groups = lab.BDD100K_SEM19.groups
    assert list(groups) == ["flat", "construction", "object", "nature", "sky", "human", "vehicle"]
    assert sorted(i for members in groups.values() for i in members) == list(range(19))


def test_six_classes_stand_in_the_stated_order():
    assert lab.STREET6.names == ("bicycle", "motorcycle", "pole", "car", "person", "vegetation")
    assert lab.STREET6_BACKGROUND.names[:6] == lab.STREET6.names


def test_instance_classes_carry_the_category_ids_of_the_bitmasks():
    assert [(row.name, row.raw_id) for row in lab.BDD100K_INS8.labels][::7] == [("pedestrian", 1), ("bicycle", 8)]


@pytest.mark.parametrize(("source", "target"), lab.REMAPS)
def test_every_remap_names_classes_that_exist(source, target):
    for old, new in lab.REMAPS[source, target].items():
        assert lab.get_table(source).index(old) >= 0
        assert lab.get_table(target).index(new) >= 0


def test_camvid_has_no_motorcycle():
    assert "motorcycle" not in lab.REMAPS["camvid11", "street6"].values()


def names_by_group(table):
    return {group: {table.names[i] for i in members} for group, members in table.groups.items()}


def test_categories_are_those_of_cityscapes_and_camvid_falls_into_the_same_seven():
    published = {
        "flat": {"road", "sidewalk"},
        "construction": {"building", "wall", "fence"},
        "object": {"pole", "traffic light", "traffic sign"},
        "nature": {"vegetation", "terrain"},
        "sky": {"sky"},
        "human": {"person", "rider"},
        "vehicle": {"car", "truck", "bus", "train", "motorcycle", "bicycle"},
    }
    assert names_by_group(lab.CITYSCAPES19) == names_by_group(lab.BDD100K_SEM19) == published
    assert names_by_group(lab.CAMVID11) == {
        "flat": {"road", "pavement"},
        "construction": {"building", "fence"},
        "object": {"pole", "signsymbol"},
        "nature": {"tree"},
        "sky": {"sky"},
        "human": {"pedestrian", "bicyclist"},
        "vehicle": {"car"},
    }


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(KeyError, match=r"no_such.*street6"):
        lab.get_table("no_such")
    with pytest.raises(KeyError, match=r"bike.*bicycle"):
        lab.STREET6.index("bike")


def test_a_table_refuses_gaps_and_repeats():
    row = lab.STREET6.labels[0]
    with pytest.raises(ValueError, match="row order"):
        lab.LabelTable("broken", (lab.STREET6.labels[1],))
    with pytest.raises(ValueError, match="unique"):
        lab.LabelTable("broken", (row, lab.Label(row.name, 1, 1, "x", (0, 0, 0), True, 1.0)))


def test_colours_are_those_of_the_table_and_black_outside():
    colored = lab.colorize(np.array([[0, 10, 255]], np.uint8), lab.BDD100K_SEM19)
    assert colored.tolist() == [[[128, 64, 128], [70, 130, 180], [0, 0, 0]]]
