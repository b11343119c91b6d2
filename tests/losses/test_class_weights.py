import warnings

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmstreet.labels import BDD100K_PIXEL_COUNTS, STREET6
from mmstreet.losses.class_weights import METHODS, PRESETS, compute_class_weights, resolve_class_weight

SIX = ("pole", "vegetation", "person", "car", "motorcycle", "bicycle")
SIX_COUNTS = [635_225, 8_817_392, 187_644, 5_684_376, 7_140, 10_650]
ALL = list(BDD100K_PIXEL_COUNTS.values())
RECIPE = dict(method="inverse", normalize="mean", boosts={"bicycle": 3, "motorcycle": 3, "pole": 2}, clip=(0.1, 10))
STUDY = dict(RECIPE, boost_first=True)


def by_hand(counts, method):
    """Each method for one class at a time, from its definition."""
    total, n = sum(counts), len(counts)
    shares = sorted(x / total for x in counts)
    median = (shares[(n - 1) // 2] + shares[n // 2]) / 2
    formulas = {
        "inverse": lambda x: total / x,
        "sqrt_inverse": lambda x: (total / x) ** 0.5,
        "power": lambda x: (total / x) ** 0.25,
        "median_freq": lambda x: median * total / x,
        "effective_num": lambda x: 0.1 / (1 - 0.9**x),
        "enet": lambda x: 1 / np.log(1.1 + x / total),
    }
    return [formulas[method](x) for x in counts]


SETTINGS = {"power": dict(power=0.25), "effective_num": dict(beta=0.9), "enet": dict(c=1.1)}


@pytest.mark.parametrize("method", METHODS)
def test_methods_equal_their_definitions(method):
    counts = [3, 17, 8, 240]
    weights = compute_class_weights(counts, method=method, normalize="none", **SETTINGS.get(method, {}))
    assert weights == pytest.approx(by_hand(counts, method), rel=1e-9)


def test_the_published_recipe_on_six_classes():
    normalized = compute_class_weights(SIX_COUNTS)
    assert normalized == pytest.approx([0.039169, 0.002822, 0.132598, 0.004377, 3.484767, 2.336267], abs=1e-5)
    with (
        pytest.warns(UserWarning, match="4 of 6 class weights are cut"),
        pytest.warns(UserWarning, match="the boost of pole has no effect"),
    ):
        final = compute_class_weights(SIX_COUNTS, names=SIX, **STUDY)
    assert final == pytest.approx([0.1, 0.1, 0.132598, 0.1, 10, 7.008802], abs=1e-5)


def test_a_boost_after_the_clip_always_acts():
    final = compute_class_weights(SIX_COUNTS, names=SIX, **RECIPE)
    clipped = [0.1, 0.1, 0.132598, 0.1, 3.484767, 2.336267]
    assert final == pytest.approx([2 * clipped[0], *clipped[1:4], 3 * clipped[4], 3 * clipped[5]], abs=1e-5)


@pytest.mark.parametrize(
    ("counts", "boosts", "idle"),
    [
        ([98, 1, 1], {"b": 5}, None),  # 1.5 becomes 7.5, within the range
        ([98, 1, 1], {"b": 20, "c": 20}, None),  # cut at 10, but from 1.5
        ([9800, 100, 1], {"a": 2, "b": 3}, "a, b"),  # below the lowest with and without
        ([9800, 100, 1], {"c": 1}, None),  # a factor of 1 is no boost
        ([9800, 100, 1], {"b": 100}, None),  # leaves the lowest
    ],
)
def test_boosts_without_effect_are_named(counts, boosts, idle):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        compute_class_weights(counts, names="abc", boosts=boosts, clip=(0.1, 10), boost_first=True)
    said = [str(warning.message) for warning in said if "no effect" in str(warning.message)]
    assert [message.split(" has no effect")[0] for message in said] == ([f"the boost of {idle}"] if idle else [])


def test_building_the_loss_logs_the_boosts_without_effect(tmp_path):
    log = tmp_path / "train.log"
    logger = MMLogger.get_instance("boosts", log_file=str(log))
    resolve_class_weight(dict(table="street6", **STUDY))
    resolve_class_weight(dict(table="street6", **RECIPE))
    for handler in logger.handlers:
        handler.flush()
    lines = [line for line in log.read_text().splitlines() if "WARNING" in line]
    assert len(lines) == 1
    assert "class_weight: the boost of pole has no effect: clip=(0.1, 10) cuts the weight to the same value without it" in lines[0]


def test_the_published_recipe_on_nineteen_classes():
    names = list(BDD100K_PIXEL_COUNTS)
    pick = [names.index(n) for n in SIX]
    normalized = compute_class_weights(ALL)
    assert [normalized[i] for i in pick] == pytest.approx([0.067455, 0.004860, 0.228352, 0.007538, 6.001249, 4.023373], abs=1e-5)
    with pytest.warns(UserWarning, match="class weights are cut"):
        final = compute_class_weights(ALL, names=names, **STUDY)
    assert [final[i] for i in pick] == pytest.approx([0.134909, 0.1, 0.228352, 0.1, 10, 10], abs=1e-5)


def test_enet_and_median_frequency_on_six_classes():
    enet = compute_class_weights(SIX_COUNTS, method="enet", normalize="none")
    assert enet == pytest.approx([16.78084, 2.142751, 31.523966, 3.033394, 49.361328, 48.82112], rel=1e-5)
    median = compute_class_weights(SIX_COUNTS, method="median_freq", normalize="none")
    assert median == pytest.approx([0.647699, 0.046662, 2.192633, 0.07238, 57.62388, 38.632347], rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_normalising_sets_the_mean_or_the_sum_to_one(method):
    assert np.mean(compute_class_weights(ALL, method=method)) == pytest.approx(1)
    assert np.sum(compute_class_weights(ALL, method=method, normalize="sum")) == pytest.approx(1)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "effective_num"])
def test_the_unit_of_the_counts_is_irrelevant(method):
    assert compute_class_weights([7.3 * n for n in ALL], method=method) == pytest.approx(compute_class_weights(ALL, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_weights_follow_their_classes_into_another_order(method):
    order = np.random.default_rng(3).permutation(len(ALL))
    weights = compute_class_weights(ALL, method=method)
    shuffled = compute_class_weights([ALL[i] for i in order], method=method)
    assert shuffled == pytest.approx([weights[i] for i in order])


def test_effective_number_lies_between_no_weights_and_inverse_frequency():
    assert compute_class_weights(SIX_COUNTS, method="effective_num", beta=0.0, normalize="none") == [1.0] * 6
    near_one = compute_class_weights(SIX_COUNTS, method="effective_num", beta=1 - 1e-12)
    assert near_one == pytest.approx(compute_class_weights(SIX_COUNTS), rel=1e-4)


def test_only_gives_zero_to_the_others_and_the_weights_of_the_subset():
    names = list(BDD100K_PIXEL_COUNTS)
    for method in METHODS:
        weights = dict(zip(names, compute_class_weights(ALL, names=names, only=SIX, method=method, clip=(0.001, 1e9))))
        assert [weights[n] for n in SIX] == pytest.approx(compute_class_weights(SIX_COUNTS, method=method))
        assert all(weights[n] == 0 for n in names if n not in SIX)


def test_a_class_without_pixels_is_an_error_unless_said_otherwise():
    with pytest.raises(ValueError, match="class 'b' has no pixels"):
        compute_class_weights([1, 0, 3], names=["a", "b", "c"])
    rest = compute_class_weights([1, 3])
    assert compute_class_weights([1, 0, 3], zero="max") == pytest.approx([rest[0], max(rest), rest[1]])
    assert compute_class_weights([1, 0, 3], zero=0, clip=(0.7, 9)) == pytest.approx([rest[0], 0, 0.7])
    assert compute_class_weights([1, 0, 3], names=["a", "b", "c"], only=["a", "c"]) == pytest.approx([rest[0], 0, rest[1]])


def test_a_clip_that_rules_the_result_is_said_aloud():
    with pytest.warns(UserWarning, match=r"4 of 4 class weights are cut by clip=\(0.9, 1.1\)"):
        compute_class_weights([1, 10, 1000, 4], clip=(0.9, 1.1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compute_class_weights([1, 2, 3, 1000], clip=(0.1, 10))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(method="inversed"), "known methods: inverse, sqrt_inverse"),
        (dict(normalize="max"), "normalize must be"),
        (dict(beta=0.9), "'beta' is not a setting of method 'inverse'"),
        (dict(method="effective_num", beta=1.0), r"beta must be in \[0, 1\)"),
        (dict(method="enet", c=1.0), "c must be > 1"),
        (dict(boosts={"pole": 2}), "boosts speaks of classes by name"),
        (dict(boosts={"pool": 2}, names=SIX), "boosts names class 'pool', which is not among: pole"),
        (dict(boosts={"pole": -2}, names=SIX), r"boosts\['pole'\] must be a finite number >= 0"),
        (dict(only=["sky"], names=SIX), "only names class 'sky'"),
        (dict(clip=(10, 0.1)), "clip must be"),
    ],
)
def test_a_wrong_setting_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        compute_class_weights(SIX_COUNTS, **settings)


@pytest.mark.parametrize("counts", [[1, -1], [1, float("nan")], [[1, 2]]])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(ValueError, match="one finite number >= 0 per class"):
        compute_class_weights(counts)
    with pytest.raises(ValueError, match="no class has pixels"):
        compute_class_weights([0, 0], zero="max")


def test_a_config_may_give_numbers_a_preset_or_settings():
    assert resolve_class_weight(None) is None
    assert resolve_class_weight((1, 2)) == [1.0, 2.0]
    preset = dict(zip(STREET6.names, resolve_class_weight("street6_published")))
    assert preset == {"pole": 0.233, "vegetation": 0.1, "person": 0.817, "car": 0.1, "motorcycle": 10.0, "bicycle": 7.243}
    weights = dict(zip(STREET6.names, resolve_class_weight(dict(table="street6", **STUDY))))
    assert [weights[n] for n in SIX] == pytest.approx([0.1, 0.1, 0.132598, 0.1, 10, 7.008802], abs=1e-5)
    assert resolve_class_weight(dict(counts=[75, 25], normalize="sum")) == [0.25, 0.75]


def test_a_table_without_counts_gives_its_shares():
    camvid = resolve_class_weight(dict(table="camvid11"))
    assert camvid[7] / camvid[10] == pytest.approx(0.54 / 1.43)  # fence to bicyclist
    with pytest.raises(ValueError, match="needs pixel counts, but these are shares"):
        resolve_class_weight(dict(table="camvid11", method="effective_num"))


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("street7", "known presets: street6_published"),
        ([1.0, -1.0], "must be finite and >= 0"),
        (dict(method="inverse"), "either 'table' or 'counts'"),
        (dict(table="street6", counts=[1]), "either 'table' or 'counts'"),
        (dict(table="street6", boost={"pole": 2}), "may have method"),
    ],
)
def test_an_unreadable_config_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        resolve_class_weight(setting)


def test_no_weights_of_mean_one_are_the_published_ones():
    """The sentence at the preset, in numbers: boosts after normalising need a sum above 6, boosts before or none need bicycle below 6."""
    published = dict(zip(STREET6.names, PRESETS["street6_published"]))
    unboosted = {name: published[name] / {"bicycle": 3, "motorcycle": 3, "pole": 2}.get(name, 1) for name in SIX}
    # Car and vegetation may have been lifted to the lower bound and motorcycle cut at the upper one, so only the others count in full.
    at_least = sum(unboosted[n] for n in ("pole", "person", "bicycle", "motorcycle"))
    assert at_least > 6
    assert published["bicycle"] > 6
