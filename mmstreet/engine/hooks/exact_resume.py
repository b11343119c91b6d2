"""Resuming that changes nothing."""

from __future__ import annotations

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import broadcast_object_list, get_dist_info
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch.utils.data import IterableDataset, Sampler

from mmstreet.engine.errors import PreflightError
from mmstreet.engine.replay import EndlessBatches, SeededBatches, seed_iteration, seed_validation, seeded_loader
from mmstreet.engine.safe_load import checkpoint_globals
from mmstreet.registry import HOOKS

_RECORD = "mmstreet_replay"


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Make a run that is stopped and resumed equal to one that is not, bit for bit on CPU.

    Each sample takes the random numbers of its augmentation from (seed, epoch, place in the epoch), and each iteration those of its
    dropout from (seed, iteration, process), for any number of workers, persistent or not. So the checkpoint needs no
    state of random generators. Resuming inside an epoch, or in an iteration-based run, skips the batches that were seen without reading
    them.

    Where the config gives no seed, mmengine chooses one and stores it in each checkpoint; a resumed run goes on with that.

    Not covered: gradients accumulated over iterations whose step is still to come when the checkpoint is written (a warning says so),
    and a number of processes that differs from the first run's.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._resumed: dict = {}
        self._batches_done = 0
        self._batches: SeededBatches | None = None
        self._seed = 0

    def before_run(self, runner: Runner) -> None:
        """Let torch read back the training log that mmengine stores in checkpoints; mmengine 0.10.7 leaves that out."""
        torch.serialization.add_safe_globals(checkpoint_globals())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note at which place of the epoch a checkpoint was written."""
        self._resumed = checkpoint.get(_RECORD, {})

    def before_train(self, runner: Runner) -> None:
        """Let the training loop read seeded batches, starting behind the last one that was trained on."""
        loop = runner.train_loop
        rank, world_size = get_dist_info()
        agreed = [runner.seed]
        broadcast_object_list(agreed)
        self._seed = agreed[0]
        batches = loop.dataloader.batch_sampler
        if batches is None or isinstance(loop.dataloader.dataset, IterableDataset):
            raise PreflightError(
                "ExactResumeHook needs a dataset with indices and a batch size; leave the hook out for a stream of samples"
            )
        batches.sampler = _fresh_sampler(batches.sampler, self._seed)
        self._batches = SeededBatches(batches, seed=self._seed, rank=rank, world_size=world_size)
        loop.dataloader = seeded_loader(loop.dataloader, self._batches)
        if runner.iter and self._resumed.get("world_size", world_size) != world_size:
            before = self._resumed["world_size"]
            runner.logger.warning(
                f"this run was trained by {before} processes and goes on with {world_size}: the order of the samples will differ"
            )
        if isinstance(loop, IterBasedTrainLoop):
            self._batches.skip = runner.iter
            # mmengine 0.10.7 skips by reading from the iterator, later versions ask it to skip.
            reads = 0 if hasattr(loop, "fast_forward_on_resume") else runner.iter
            loop.dataloader_iterator = EndlessBatches(loop.dataloader, already_skipped=reads)
        elif isinstance(loop, EpochBasedTrainLoop) and runner.iter:
            self._batches.skip = self._batches_done = self._resumed.get("batches_done", 0)

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the batches which epoch this is."""
        self._batches.pass_no = runner.epoch

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Seed the random numbers of the model in this iteration."""
        seed_iteration(self._seed, runner.iter, get_dist_info()[0])

    def before_val_epoch(self, runner: Runner) -> None:
        """Seed the random numbers of a validation, so that one that is done after a kill scores the same."""
        if self._batches is not None:
            seed_validation(self._seed, runner.iter, get_dist_info()[0])

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict | None = None) -> None:
        """Count the batches of this epoch."""
        self._batches_done += 1

    def after_train_epoch(self, runner: Runner) -> None:
        """Begin to count again."""
        self._batches_done = 0

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write down at which place of the epoch the checkpoint is."""
        checkpoint[_RECORD] = {"batches_done": self._batches_done, "world_size": get_dist_info()[1]}
        wrapper = runner.optim_wrapper
        if not isinstance(wrapper, OptimWrapperDict) and not wrapper.should_update():
            runner.logger.warning(
                "this checkpoint falls between two optimizer steps and does not hold the gradients accumulated so far; to resume exactly, "
                "make its interval a multiple of accumulative_counts"
            )


def _fresh_sampler(sampler: Sampler, seed: int) -> Sampler:
    """Return the sampler as it is at the start of a run with this seed.

    mmengine builds it before it reads the checkpoint, so with the seed chosen for this start; and an infinite one may have been read
    from already by workers that fetch ahead.
    """
    if isinstance(sampler, InfiniteSampler):
        return type(sampler)(dataset=sampler.dataset, shuffle=sampler.shuffle, seed=seed)
    if hasattr(sampler, "seed"):
        sampler.seed = seed
    return sampler
