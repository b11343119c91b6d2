"""What the score promises for any scene."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmstreet.files.instances import Instances
from mmstreet.labels import BDD100K_SEM19, CAMVID11, STREET6, STREET6_BACKGROUND, TABLES
from mmstreet.safety.components import COMPONENTS
from mmstreet.safety.roles import roles_of
from mmstreet.safety.score import LEVELS, UNKNOWN, combine_components, level_of, score_scene
from mmstreet.safety.settings import SafetySettings
from tests.helpers.street_scene import ID, put, render_street, streets

SOME = settings(max_examples=40, deadline=None)
DEFAULTS = SafetySettings()
CAR = (1.8, 1.5)


def score(labels, classes=BDD100K_SEM19.names, **more):
    return score_scene(labels, classes, settings=more.pop("settings", DEFAULTS), **more)


@SOME
@given(streets())
def test_score_and_parts_are_bounded_and_costs_add_up(labels):
    result = score(labels)
    assert 0 <= result.score <= 100
    assert all(value is None or 0 <= value <= 1 for value in result.components.values())
    assert sum(result.costs.values()) == pytest.approx(100 - result.score)
    assert min(result.costs.values()) >= 0
    assert result.level in LEVELS


@SOME
@given(st.integers(0, 2**32 - 1), st.sampled_from(sorted(set(TABLES) - {"bdd100k_ins8", "bdd100k_det10"})))
def test_noise_of_any_table_is_scored_within_bounds(seed, table):
    classes = TABLES[table].names
    labels = np.random.default_rng(seed).integers(0, len(classes), (17, 31))
    result = score(labels, classes)
    assert result.score is None or 0 <= result.score <= 100


@SOME
@given(streets(), st.sampled_from(["person", "rider", "bicycle", "motorcycle"]), st.floats(4, 39), st.floats(-1, 1), st.floats(0.2, 3))
def test_more_people_in_the_lane_never_raise_the_score_whatever_they_hide(labels, name, ahead, aside, width):
    labels[labels == 255] = ID["road"]
    more = put(labels, name, ahead=ahead, aside=aside, size=(width, 1.7))
    assert score(more).score <= score(labels).score + 1e-9


@SOME
@given(streets(), st.integers(0, 2**32 - 1))
def test_people_anywhere_lower_no_part_less_than_they_should(labels, seed):
    labels[labels == 255] = ID["road"]
    more = np.where(np.random.default_rng(seed).random(labels.shape) < 0.05, ID["person"], labels)
    before, after = score(labels).components, score(more).components
    assert all(after[part] <= before[part] + 1e-9 for part in COMPONENTS)


@SOME
@given(streets())
def test_a_mirrored_scene_has_the_same_score(labels):
    assert score(labels[:, ::-1]).score == pytest.approx(score(labels).score, abs=1e-9)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(streets(height=720, width=1280))
def test_resolution_changes_the_score_by_less_than_two_points(labels):
    full = score(labels).score
    assert score(labels.repeat(2, 0).repeat(2, 1)).score == pytest.approx(full, abs=2)
    assert score(labels[::2, ::2]).score == pytest.approx(full, abs=2)
    assert score(labels[1::2, 1::2]).score == pytest.approx(full, abs=2)


@SOME
@given(st.floats(5, 35), st.floats(3.5, 6), st.booleans())
def test_a_person_in_the_lane_ahead_weighs_more_than_one_on_the_pavement(ahead, aside, left):
    street = render_street(360, 640)
    in_lane = score(put(street, "person", ahead=ahead))
    on_pavement = score(put(street, "person", ahead=ahead, aside=-aside if left else aside))
    assert in_lane.score < on_pavement.score - 3
    assert in_lane.components["people"] < on_pavement.components["people"]


@pytest.mark.parametrize(("name", "size"), [("person", (0.5, 1.7)), ("bicycle", (0.6, 1.1)), ("car", CAR), ("bus", (2.5, 3.0))])
def test_what_is_nearer_is_worse(name, size):
    scores = [score(put(render_street(360, 640), name, ahead=ahead, size=size)).score for ahead in (5, 8, 12, 20, 35)]
    assert scores == sorted(scores)
    assert scores[-1] - scores[0] > 30


def test_levels_of_one_person_in_the_lane_are_those_of_the_docs():
    levels = {ahead: score(put(render_street(720, 1280), "person", ahead=ahead, size=(0.4, 1.7))).level for ahead in (5, 10, 15, 30)}
    assert levels == {5: "CRITICAL", 10: "HIGH", 15: "MODERATE", 30: "LOW"}


def test_an_empty_road_is_a_hundred():
    result = score(render_street())
    assert result.score == 100
    assert result.level == "LOW"
    assert result.worst is None


@pytest.mark.parametrize(
    ("labels", "why"),
    [
        (np.zeros((0, 0), np.uint8), "no pixels"),
        (np.full((90, 160), 255, np.uint8), "0 % of the carriageway ahead is labelled"),
        (np.where(np.arange(90)[:, None] > 40, 255, render_street(90, 160)), "0 % of the carriageway ahead is labelled"),
    ],
)
def test_without_labels_ahead_a_scene_is_unknown_not_safe(labels, why):
    result = score(labels)
    assert result.score is None
    assert result.level == UNKNOWN
    assert set(result.components.values()) == {None}
    assert why in result.explain()
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["score"] is None


def test_a_map_of_background_only_is_unknown():
    assert "background" in score(np.full((90, 160), 6), STREET6_BACKGROUND.names).explain()


def test_six_classes_say_what_they_cannot_know():
    labels = np.full((180, 320), STREET6_BACKGROUND.index("background"))
    labels[:60] = STREET6_BACKGROUND.index("vegetation")
    clear = score(labels, STREET6_BACKGROUND.names)
    blind = {"road_visibility", "obstacles", "lane_clarity"}
    assert {part for part, value in clear.components.items() if value is None} == blind == set(clear.reasons)
    assert clear.score == 100
    assert all(f"{part} is not known: the classes have no road" in clear.explain() for part in blind)
    labels[90:150, 150:170] = STREET6_BACKGROUND.index("person")
    result = score(labels, STREET6_BACKGROUND.names)
    people, vehicles = result.components["people"], result.components["vehicles"]
    assert result.score == pytest.approx(100 * (0.5 * (0.3 * people + 0.2 * vehicles) / 0.5 + 0.5 * people))


def test_camvids_names_mean_the_same_as_the_nineteen():
    street = put(put(render_street(), "person", ahead=10), "car", ahead=15, aside=3, size=CAR)
    to_camvid = {"road": "road", "sidewalk": "pavement", "building": "building", "sky": "sky", "person": "pedestrian", "car": "car"}
    lut = np.full(256, 255, np.uint8)
    for name, other in to_camvid.items():
        lut[ID[name]] = CAMVID11.index(other)
    assert score(lut[street], CAMVID11.names).to_dict() == score(street).to_dict()


@pytest.mark.parametrize("name", ["street6", "bdd100k_ins8"])
def test_classes_that_cannot_stand_for_the_road_make_every_scene_unknown(name):
    table = TABLES[name]
    for class_id in range(len(table)):  # what such a model predicts on the road depends on chance
        result = score(np.full((90, 160), class_id, np.uint8), table.names)
        assert (result.score, result.level) == (None, UNKNOWN)
        assert "neither road nor other ground nor background" in result.explain()
    assert score(np.zeros((90, 160), np.uint8), ("car", "terrain")).level != UNKNOWN


def test_every_scene_table_has_roles():
    for table in (BDD100K_SEM19, STREET6, STREET6_BACKGROUND, CAMVID11, TABLES["wilddash25"]):
        assert len(roles_of(table.names)) == len(table)


def test_the_own_bonnet_is_not_judged_and_a_van_is_a_vehicle():
    wilddash = TABLES["wilddash25"]
    lut = np.full(256, 255, np.uint8)
    for name in ("road", "sidewalk", "building", "sky", "person"):
        lut[ID[name]] = wilddash.index(name)
    street = lut[render_street(360, 640)]
    bonnet = street.copy()
    bonnet[340:] = wilddash.index("ego vehicle")
    assert score(bonnet, wilddash.names).score == score(street, wilddash.names).score == 100
    van = np.where(put(render_street(360, 640), "car", ahead=8, size=CAR) == ID["car"], wilddash.index("van"), street)
    assert score(van, wilddash.names).worst == "vehicles"


def test_instances_count_like_labelled_pixels():
    street, labelled = render_street(), put(render_street(), "person", ahead=8)
    mask = labelled == ID["person"]
    assert score(street, instances=Instances.from_masks(mask[None], [ID["person"]])).to_dict() == score(labelled).to_dict()
    car = put(street, "car", ahead=6, size=CAR) == ID["car"]
    both = Instances.from_masks(np.stack([mask, car, ~mask]), [ID["person"], ID["car"], ID["building"]])
    result = score(street, instances=both)
    assert result.measures["people_burden"] == score(labelled).measures["people_burden"]
    assert result.components["vehicles"] < score(labelled).components["vehicles"]
    assert score(street, instances=Instances.from_masks(np.zeros((0, *street.shape), bool), [])).score == 100


def test_masks_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"bool \[1, 180, 320\]; got bool \[1, 90, 160\]"):
        score(render_street(), instances=Instances.from_masks(np.zeros((1, 90, 160), bool), [ID["car"]]))


def test_the_score_mixes_the_mean_with_the_worst_part():
    parts = {"people": 0.2, "vehicles": 0.8, "obstacles": None}
    value, costs = combine_components(parts, {"people": 3, "vehicles": 1, "obstacles": 5}, 0.4)
    assert value == pytest.approx(100 * (0.6 * (3 * 0.2 + 0.8) / 4 + 0.4 * 0.2))
    assert costs == pytest.approx({"people": 100 * (0.6 * 0.75 * 0.8 + 0.4 * 0.8), "vehicles": 100 * 0.6 * 0.25 * 0.2})
    assert combine_components({"people": None}, {"people": 1}, 0.4) == (None, {})
    assert combine_components({"people": 0.5, "vehicles": 0.0}, {"people": 1, "vehicles": 0}, 0.5)[0] == 50


def test_levels_begin_at_their_thresholds():
    assert [level_of(value, (75, 55, 35)) for value in (100, 75, 74.9, 55, 54.9, 35, 34.9, 0, None)] == [
        *("LOW", "LOW", "MODERATE", "MODERATE", "HIGH", "HIGH", "CRITICAL", "CRITICAL", UNKNOWN)
    ]


def test_the_explanation_names_what_cost_most():
    near = score(put(render_street(), "person", ahead=6))
    assert near.worst == "people"
    assert "people cost most" in near.explain()
    assert "in the lane ahead" in near.explain()
    queue = score(put(render_street(), "car", ahead=6, size=CAR))
    assert queue.worst == "vehicles"
    wall = score(put(render_street(), "wall", ahead=6, size=(3, 0.6)))
    assert wall.worst == "obstacles"
    assert "cut off" in wall.explain()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((9, 9), 19), r"label id 19 in .* is neither a class \(0…18"),
        (np.full((9, 9), -1), "label id -1"),
        (np.zeros((9, 9)), "integers"),
        (np.zeros((1, 9, 9), int), r"\[1, 9, 9\]"),
    ],
)
def test_maps_that_cannot_be_scored_say_why(labels, message):
    with pytest.raises(ValueError, match=message):
        score(labels)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": {"speed": 1}}, "no part 'speed'"),
        ({"weights": {"people": -1}}, "weights must be"),
        ({"weights": {}}, "weights must be"),
        ({"worst_share": 2}, "worst_share"),
        ({"thresholds": (25, 50, 75)}, "thresholds"),
        ({"people_half": 0}, "people_half"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        SafetySettings(**wrong)


def test_own_classes_need_a_role():
    with pytest.raises(ValueError, match="class 'tram' means"):
        roles_of(["road", "tram"])
    with pytest.raises(ValueError, match="unknown role 'thing'"):
        roles_of(["road"], {"tram": "thing"})
    street = np.where(put(render_street(), "car", ahead=8, size=CAR) == ID["car"], 1, 0)
    assert score(street, ["road", "tram"], roles={"tram": "vehicle"}).worst == "vehicles"
