"""Random numbers follow from the place in the run."""

import pickle
import random

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, SequentialSampler

from mmstreet.engine.replay import EndlessBatches, SeededBatch, SeededBatches, seed_everything, seed_iteration, seeded_loader


def draw():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


class Noise(Dataset):
    """Ten samples: the index, and a draw of each generator."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, *draw()


def make_loader(rank=0, world_size=1, batch_size=4, **settings):
    order = list(range(rank, 10, world_size))
    loader = DataLoader(Noise(), batch_sampler=BatchSampler(order, batch_size, drop_last=False), collate_fn=list, **settings)
    return seeded_loader(loader, SeededBatches(loader.batch_sampler, seed=3, rank=rank, world_size=world_size))


def test_the_same_key_gives_the_same_draws_and_another_key_others():
    draws = {}
    for key in [(0, 1, 2), (0, 2, 1), (1, 1, 2), (0, 1, 3), (0, 2**40, 2)]:
        seed_everything(*key)
        draws[key] = draw()
        seed_everything(*key)
        assert draw() == draws[key]
    for values in zip(*draws.values(), strict=True):
        assert len(set(values)) == len(draws)


def test_iterations_and_processes_draw_apart():
    values = set()
    for iteration in range(50):
        for rank in range(2):
            seed_iteration(7, iteration, rank)
            values.add(draw())
    assert len(values) == 100
    assert abs(np.mean([v[2] for v in values]) - 0.5) < 0.1  # uniform draws: standard error 0.03


def test_pickling_a_batch_for_a_worker_draws_nothing():
    batch = SeededBatch((4, 2), seed=1, pass_no=0, first=0, rank=0, world_size=1)
    seed_everything(5)
    expected = draw()
    seed_everything(5)
    copy = pickle.loads(pickle.dumps(batch))
    assert draw() == expected
    assert (len(copy), list(copy)) == (2, [4, 2])


@pytest.mark.parametrize("settings", [dict(num_workers=2), dict(num_workers=2, persistent_workers=True), dict(num_workers=1)], ids=str)
def test_the_number_of_workers_changes_no_draw(settings):
    def two_epochs(loader):
        batches = []
        for loader.batch_sampler.pass_no in range(2):
            batches += list(loader)
        return batches

    reference = two_epochs(make_loader())
    assert two_epochs(make_loader(**settings)) == reference
    flat = [sample for batch in reference for sample in batch]
    assert [index for index, *_ in flat] == [*range(10), *range(10)]
    assert len({values for _, *values in map(tuple, flat) for values in values}) == 60  # each epoch and sample draws its own


def test_two_processes_draw_what_one_draws():
    one = {index: values for batch in make_loader() for index, *values in batch}
    two = {index: values for rank in range(2) for batch in make_loader(rank, 2, batch_size=2) for index, *values in batch}
    assert two == one


def test_skipping_leaves_the_rest_unchanged():
    whole = list(make_loader())
    loader = make_loader()
    loader.batch_sampler.skip = 2
    assert list(loader) == whole[2:]
    assert list(loader) == whole  # only once


@pytest.mark.parametrize("done", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("by_drawing", [False, True])
def test_endless_batches_go_on_where_they_were_across_passes(done, by_drawing):
    reference = EndlessBatches(make_loader())
    expected = [next(reference) for _ in range(9)][done:]
    loader = make_loader()
    loader.batch_sampler.skip = done
    batches = EndlessBatches(loader, already_skipped=done if by_drawing else 0)
    if by_drawing:
        assert [next(batches) for _ in range(done)] == [None] * done
    else:
        batches.skip_iter(done)
    assert [next(batches) for _ in range(9 - done)] == expected


def test_a_finite_sampler_is_told_each_new_pass():
    class Epochs(SequentialSampler):
        epochs = ()

        def set_epoch(self, epoch):
            self.epochs += (epoch,)

    sampler = Epochs(range(10))
    loader = DataLoader(Noise(), batch_sampler=BatchSampler(sampler, 5, drop_last=False), collate_fn=list)
    batches = EndlessBatches(seeded_loader(loader, SeededBatches(loader.batch_sampler, seed=0, rank=0, world_size=1)))
    for _ in range(5):
        next(batches)
    assert sampler.epochs == (1, 2)
