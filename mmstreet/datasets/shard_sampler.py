"""An order of samples that reads tar shards in long stretches and is still shuffled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.dataset import DefaultSampler

from mmstreet.files.tar_members import shard_of
from mmstreet.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ShardSampler(DefaultSampler):
    """Shuffles the shards, and the samples within every few of them.

    At any time the samples of ``window`` shards are read, which a disk far away or a page cache likes better than samples from everywhere.
    The order depends on seed and epoch alone: it is the same for any number of workers, and processes take its samples in turn.

    Args:
        dataset: A :class:`mmstreet.datasets.shards.ShardedSemSeg`, or another data set whose image paths are members of archives.
        window: Shards whose samples are mixed; all of them give any order the same chance.
        seed: Seed of the order; ``None`` takes the run's.
        round_up: Repeat the first samples so that all processes have the same number.

    Raises:
        ValueError: If ``window`` is less than 1, or an image does not lie in an archive.
    """

    def __init__(self, dataset: Any, *, window: int = 8, seed: int | None = None, round_up: bool = True) -> None:
        if window < 1:
            raise ValueError(f"window must be 1 or more shards, got {window}")
        super().__init__(dataset, shuffle=True, seed=seed, round_up=round_up)
        self.window = window
        self._shards: list[np.ndarray] | None = None

    def __iter__(self) -> Iterator[int]:
        """Give the indices of this process."""
        if self._shards is None:
            self._shards = _indices_by_shard(self.dataset)
        order = shuffle_shards(self._shards, window=self.window, seed=(self.seed, self.epoch))
        order = np.resize(order, self.total_size)  # from the beginning again where that is longer
        return iter(order[self.rank :: self.world_size].tolist())


def shuffle_shards(shards: list[np.ndarray], *, window: int, seed: tuple[int, int]) -> np.ndarray:
    """Return all indices, int64, shuffled within every ``window`` of the shuffled shards.

    Args:
        shards: Indices of the samples in each shard.
        window: Shards whose samples are mixed.
        seed: Key of the random numbers.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(shards))
    windows = (np.concatenate([shards[i] for i in order[start : start + window]]) for start in range(0, len(order), window))
    return np.concatenate([rng.permutation(members) for members in windows])


def _indices_by_shard(dataset: Any) -> list[np.ndarray]:
    members: dict[str, list[int]] = {}
    for index in range(len(dataset)):
        path = dataset.get_data_info(index)["img_path"]
        shard = shard_of(path)
        if shard is None:
            raise ValueError(f"ShardSampler needs images in tar files, but '{path}' is a file; use mmengine's DefaultSampler")
        members.setdefault(shard, []).append(index)
    return [np.array(indices, np.int64) for indices in members.values()]
