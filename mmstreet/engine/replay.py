"""Random numbers as a function of how far training is, so that nothing about them needs to be saved.

A stopped and resumed run equals an uninterrupted one when every random number depends only on the run's seed and on the place of its
use. mmengine does not give that: its workers start each epoch with the same numbers or, when they persist, go on with numbers that no
checkpoint holds. Here each sample and each iteration starts from its own seed; as a bonus the number of workers has no influence.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader

_SAMPLE, _ITERATION, _VALIDATION = 0, 1, 2


def seed_everything(*key: int) -> None:
    """Seed Python's, numpy's and torch's generators (CUDA's too) from a key; keys that differ give unrelated numbers.

    Args:
        key: Non-negative integers; keys to be told apart need the same length.
    """
    words = np.random.SeedSequence(key).generate_state(8)
    random.seed(words[:2].tobytes())
    np.random.seed(words[2:6])  # noqa: NPY002 - the transforms of OpenMMLab draw from numpy's global generator
    torch_seed = int(words[6]) << 32 | int(words[7])
    # torch.manual_seed formats a stack trace for each device that is not in use: 2 ms, where this is called for every sample.
    torch.default_generator.manual_seed(torch_seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(torch_seed)


def seed_iteration(seed: int, iteration: int, rank: int) -> None:
    """Seed the random numbers of the model in one iteration: dropout, sampled pixels."""
    seed_everything(_ITERATION, seed, iteration, rank)


def seed_validation(seed: int, iteration: int, rank: int) -> None:
    """Seed the random numbers of a validation after so many iterations."""
    seed_everything(_VALIDATION, seed, iteration, rank)


@dataclass(frozen=True)
class SeededBatch:
    """The indices of one batch; walking along them, as a data loader does, seeds the generators before each sample.

    Not a list: pickling a subclass of list walks along it, and the main process pickles batches for its workers.

    Attributes:
        indices: Indices into the dataset.
        seed: The run's seed.
        pass_no: How often the dataset was gone through before.
        first: Place of the first sample in this process's order.
        rank: This process.
        world_size: Number of processes.
    """

    indices: tuple[int, ...]
    seed: int
    pass_no: int
    first: int
    rank: int
    world_size: int

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        for place, index in enumerate(self.indices, self.first):
            # Samples are dealt to the processes in turn, so this is the sample's place in the order of a single process.
            seed_everything(_SAMPLE, self.seed, self.pass_no, place * self.world_size + self.rank)
            yield index


class SeededBatches(BatchSampler):
    """Another batch sampler's batches as :class:`SeededBatch`, and on resume without those that were seen already.

    Args:
        batches: The batch sampler to follow.
        seed: The run's seed.
        rank: This process.
        world_size: Number of processes.
    """

    def __init__(self, batches: BatchSampler, *, seed: int, rank: int, world_size: int) -> None:
        self.batches = batches
        self.batch_size = batches.batch_size
        self.drop_last = batches.drop_last
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.pass_no = 0
        self.skip = 0

    @property
    def sampler(self):
        """The sampler below, whose epoch mmengine sets."""
        return self.batches.sampler

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[SeededBatch]:
        first = 0
        for indices in self.batches:
            if self.skip:
                self.skip -= 1
            else:
                yield SeededBatch(tuple(indices), self.seed, self.pass_no, first, self.rank, self.world_size)
            first += len(indices)


class EndlessBatches:
    """What an iteration-based loop reads: pass after pass over a data loader.

    Takes the place of mmengine's iterator, which on resume loads all earlier batches and throws them away (0.10.7) unless the sampler
    can skip (onedl 0.10.12). Here earlier batches are skipped as indices.

    Args:
        loader: Data loader over :class:`SeededBatches`.
        already_skipped: Number of first calls that are answered with ``None``, for a loop that skips by reading.
    """

    def __init__(self, loader: DataLoader, *, already_skipped: int = 0) -> None:
        self._loader = loader
        self._unanswered = already_skipped
        self._iterator = None

    def __iter__(self) -> EndlessBatches:
        return self

    def skip_iter(self, num_iters: int) -> None:
        """Do nothing: the batch sampler is at the right place already."""

    def __next__(self) -> dict | None:
        if self._unanswered:
            self._unanswered -= 1
            return None
        if self._iterator is None:
            self._iterator = iter(self._loader)
        while True:
            for batch in self._iterator:
                return batch
            self._start_next_pass()

    def _start_next_pass(self) -> None:
        batches = self._loader.batch_sampler
        batches.pass_no += 1
        if hasattr(batches.sampler, "set_epoch"):
            batches.sampler.set_epoch(batches.pass_no)
        self._iterator = iter(self._loader)


def seeded_loader(loader: DataLoader, batches: SeededBatches) -> DataLoader:
    """Return a data loader like ``loader`` that follows ``batches``; torch lets no loader change its batch sampler."""
    return DataLoader(
        loader.dataset,
        batch_sampler=batches,
        num_workers=loader.num_workers,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        timeout=loader.timeout,
        worker_init_fn=loader.worker_init_fn,
        multiprocessing_context=loader.multiprocessing_context,
        generator=loader.generator,
        prefetch_factor=loader.prefetch_factor,
        persistent_workers=loader.persistent_workers,
    )
