import numpy as np
import pytest

from benchmarks.mask_damage import DamageRecipe, damage_mask, lose_small_pieces


def street(seed=0):
    """Sky, road, a building, a sign of 9 pixels, and void."""
    labels = np.zeros((60, 80), np.uint8)
    labels[30:] = 3
    labels[10:30, 20:50] = 1
    labels[20:23, 60:63] = 6
    labels[58:] = 255
    return labels


@pytest.mark.parametrize("share", [0.3, 0.5])
def test_enough_is_wrong_and_only_present_classes_are_used(share):
    labels = street()
    damaged = damage_mask(labels, np.random.default_rng(0), DamageRecipe(wrong_share=share))
    valid = labels != 255
    assert share <= (damaged != labels)[valid].mean() < share + 0.1
    assert set(np.unique(damaged)) <= {0, 1, 3, 6, 255}
    assert ((damaged == 255) == ~valid).all()


def test_the_seed_decides():
    one, same, other = (damage_mask(street(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_small_objects_are_lost_to_what_is_around_them():
    labels = street()
    without = lose_small_pieces(labels, 10)
    assert not (without == 6).any()
    assert (without[20:23, 60:63] == 0).all()
    assert (without[labels != 6] == labels[labels != 6]).all()
    assert (lose_small_pieces(labels, 9) == labels).all()


def test_what_cannot_be_damaged_stays():
    for labels in (np.full((8, 8), 255, np.uint8), np.full((8, 8), 3, np.uint8)):
        assert (damage_mask(labels, np.random.default_rng(0)) == labels).all()
    assert (lose_small_pieces(np.arange(16, dtype=np.uint8).reshape(4, 4), 5) == np.arange(16).reshape(4, 4)).all()


@pytest.mark.parametrize(
    "settings", [dict(wrong_share=1.0), dict(small_share=-0.1), dict(radius_share=(0.2, 0.1)), dict(radius_share=(0, 0.1))]
)
def test_recipes_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="expected wrong_share"):
        DamageRecipe(**settings)
