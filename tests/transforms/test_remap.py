"""``RemapLabels`` maps by name, many to one, and says what does not fit together."""

import numpy as np
import pytest
from mmengine.registry import TRANSFORMS

from mmstreet.labels import BDD100K_SEM19, CAMVID11, REMAPS, STREET6, get_table


def build(**settings):
    return TRANSFORMS.build(dict(type="mmstreet.RemapLabels", **settings))


def remap(labels, **settings):
    return build(**settings)(dict(gt_seg_map=np.asarray(labels, np.uint8), seg_map_path="data/a.png"))["gt_seg_map"].tolist()


@pytest.mark.parametrize(("source", "target"), REMAPS)
def test_every_listed_remap_equals_a_loop_over_names(source, target):
    background = get_table(target).names[-1] == "background"
    table = get_table(source)
    expected = []
    for name in table.names:
        to = REMAPS[source, target].get(name, "background" if background else None)
        expected.append(255 if to is None else get_table(target).names.index(to))
    settings = dict(unlisted="background") if background else {}
    assert remap([[*range(len(table)), 255]], source=source, target=target, **settings) == [[*expected, 255]]


def test_several_classes_may_become_one():
    mapping = {"person": "person", "rider": "person", "car": "car", "truck": "car"}
    ids = [BDD100K_SEM19.index(name) for name in ("person", "rider", "car", "truck", "road")]
    person, car = STREET6.index("person"), STREET6.index("car")
    assert remap([ids], source="bdd100k_sem19", target="street6", mapping=mapping) == [[person, person, car, car, 255]]


def test_labels_change_their_table():
    step = build(source="camvid11", target="street6")
    results = step(dict(gt_seg_map=np.zeros((2, 2), np.uint8), label_table="camvid11"))
    assert results["label_table"] is step.label_table is STREET6
    with pytest.raises(ValueError, match="expects labels in table 'camvid11', but they are in 'street6'"):
        step(results)


def test_the_input_array_is_left_alone():
    labels = np.zeros((2, 2), np.uint8)
    build(source="camvid11", target="street6")(dict(gt_seg_map=labels))
    assert (labels == 0).all()


def test_an_id_outside_the_table_is_named_with_file_and_place():
    with pytest.raises(ValueError, match=r"label id 11 in data/a\.png is not in table 'camvid11' .*2 pixels, first at y=0, x=1"):
        remap([[0, 11], [11, 255]], source="camvid11", target="street6")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (dict(mapping={"automobile": "car"}), KeyError, "class 'automobile' is not in table 'camvid11'"),
        (dict(mapping={"car": "van"}), KeyError, "class 'van' is not in table 'street6'"),
        (dict(mapping=[("car", "car"), ("car", "person")]), ValueError, "sends class 'car' both to 'car' and to 'person'"),
        (dict(unlisted="background"), ValueError, "needs a class of that name in table 'street6'"),
        (dict(unlisted="error"), ValueError, "not named in the mapping: sky, building, road"),
        (dict(unlisted="void"), ValueError, "unlisted must be 'ignore', 'background' or 'error', not 'void'"),
        (dict(target="street7"), KeyError, "unknown class table 'street7'"),
        (dict(target="bdd100k_sem19"), KeyError, "no remap from 'camvid11' to 'bdd100k_sem19' is known"),
        (dict(target="street6_background"), ValueError, "'background' of table 'street6_background' would get no pixel"),
    ],
)
def test_what_does_not_fit_together_is_an_error_before_training(settings, error, message):
    with pytest.raises(error, match=message):
        build(**{"source": "camvid11", "target": "street6", **settings})


def test_repeating_a_pair_is_no_contradiction():
    assert build(source="camvid11", target="street6", mapping=[("car", "car"), ("car", "car")]).mapping == {"car": "car"}


def test_naming_every_class_satisfies_unlisted_error():
    mapping = {name: "background" for name in CAMVID11.names}
    assert remap([[0, 10]], source="camvid11", target="street6_background", mapping=mapping, unlisted="error") == [[6, 6]]
