"""Damage of labels does what its name says, by seed, to the share that is asked for."""

import numpy as np
import pytest
from scipy import ndimage

from benchmarks.label_damage import KINDS, LEAST_CHANGED, damage_component, damage_maps, list_components
from benchmarks.label_errors import count_found, rank_areas


@pytest.fixture
def labels():
    """Road below sky with two cars of 12x10, and an ignored corner."""
    ids = np.where(np.arange(60)[:, None] < 30, 2, 0) * np.ones((1, 80), int)
    ids[35:45, 10:22] = 1
    ids[40:50, 50:62] = 1
    ids[:4, :4] = 255
    return ids.astype(np.uint8)


def car(labels):
    return next((label, mask) for label, mask in list_components(labels) if label == 1)


def test_components_are_those_of_scipy(labels):
    found = {(label, mask.tobytes()) for label, mask in list_components(labels)}
    expected = set()
    for label in (0, 1, 2):
        parts, count = ndimage.label(labels == label, np.ones((3, 3)))
        expected |= {(label, (parts == i + 1).tobytes()) for i in range(count)}
    assert found == expected
    assert len(found) == 4


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_does_what_it_says(labels, kind, seed):
    label, mask = car(labels)
    rng, found = np.random.default_rng(seed), None
    while found is None:
        found = damage_component(labels, label, mask, kind, rng, num_classes=4)
    out, damage = found
    assert np.array_equal(out != labels, damage.changed)
    assert damage.changed.sum() >= LEAST_CHANGED
    assert (out[labels == 255] == 255).all()
    if kind == "swap":
        assert np.array_equal(damage.changed, mask)
        assert len(np.unique(out[mask])) == 1
    if kind == "drop":
        assert np.array_equal(damage.changed, mask)
        assert (out[mask] == 0).all(), "road is around it"
    if kind == "shift":
        other = (labels == 1) & ~mask
        assert (out[other] == 1).all()
        assert 0 < (out[mask] == 1).mean() < 1
    if kind == "phantom":
        assert (out[mask] == 1).all()
        assert not (damage.changed & mask).any()


def test_the_share_is_damaged_every_kind_equally_and_by_seed(labels):
    maps = [np.roll(labels, i, axis=1) for i in range(60)]
    out, damages, components = damage_maps(maps, share=0.1, seed=1, num_classes=4)
    kinds = [damage.kind for some in damages for damage in some]
    assert len(kinds) == round(0.1 * components)
    assert max(map(kinds.count, KINDS)) - min(map(kinds.count, KINDS)) <= 1
    for before, after, some in zip(maps, out, damages):
        changed = sum((damage.changed.astype(int) for damage in some), np.zeros(labels.shape, int))
        assert changed.max() <= 1, "damages do not overlap"
        assert np.array_equal(before != after, changed == 1)
    again = damage_maps(maps, share=0.1, seed=1, num_classes=4)[0]
    other = damage_maps(maps, share=0.1, seed=2, num_classes=4)[0]
    assert all(map(np.array_equal, out, again))
    assert not all(map(np.array_equal, out, other))


def test_a_model_that_knows_the_truth_finds_every_damage_and_one_that_believes_the_labels_none(labels):
    maps = [np.roll(labels, i, axis=1) for i in range(20)]
    out, damages, _ = damage_maps(maps, share=0.1, seed=1, num_classes=4)

    def certain(ids):
        return np.moveaxis(np.eye(4)[np.where(ids == 255, 0, ids)] * 0.96 + 0.01, 2, 0)

    ranked = rank_areas([certain(ids) for ids in maps], out, damages)
    assert {tuple(row) for row in ranked.tolist()} == {(i, n) for i, some in enumerate(damages) for n in range(len(some))}
    found = count_found(np.concatenate([ranked, np.full((20 * len(ranked), 2), -1)]), damages)
    assert (found["damaged"], found["found"], found["swap"]) == (len([d for some in damages for d in some]), 100, 100)
    assert len(rank_areas([certain(ids) for ids in out], out, damages)) == 0
