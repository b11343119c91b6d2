"""Checkpoints that a kill at any moment cannot spoil."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio.backends import BaseStorageBackend, LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner, find_latest_checkpoint

from mmstreet.engine.checkpoints import BACKEND, POINTER, AtomicLocalBackend, remove_partial_files
from mmstreet.engine.processes import agree_on_buffers, decide_on_main
from mmstreet.engine.work_dir_claim import claim_work_dir, release_work_dir
from mmstreet.files.atomic import write_bytes
from mmstreet.registry import HOOKS

_OUTDATED = "outdated_ckpts"
"""Entry of a checkpoint's log: the files that were to be deleted once it was written."""


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, with the same settings, safe against a kill during a write, for a folder of its own.

    A checkpoint appears under its name when it is complete and on the disk. Then ``last_checkpoint`` is pointed to it, and only then
    are older checkpoints deleted, also with ``max_keep_ckpts=1``; mmengine deletes first. The same holds for the best checkpoint.
    What a kill left behind, half a file or an older checkpoint, is removed when the run goes on. Files outside the local file system
    are written as mmengine writes them.

    Nothing outside the folder of checkpoints is deleted: a run that goes on from another run's checkpoint keeps a best checkpoint of its
    own. A second training in the same work directory is refused. Before a checkpoint and before a validation all processes get the same
    buffers, so what is validated is what is saved.

    Raises:
        LaunchError: If another process trains in the work directory.
    """

    def before_train(self, runner: Runner) -> None:
        """Claim the work directory, choose where checkpoints go, and clear away what a kill left there."""
        self._claims = decide_on_main(lambda: claim_work_dir(runner.work_dir))
        super().before_train(runner)
        if self.file_client_args is None and self.backend_args is None and type(self.file_backend) is LocalBackend:
            self.backend_args = {"backend": BACKEND}
            self.file_backend = AtomicLocalBackend()
        if runner.iter:
            # A missed validation that is done now writes this checkpoint again, with the new best in its log.
            self.last_ckpt = self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(self._step(runner)))
            self._disown_best(runner)
        if is_main_process() and isinstance(self.file_backend, AtomicLocalBackend):
            left = {*remove_partial_files(self.out_dir), *remove_partial_files(runner.work_dir), *self._outdated(runner)}
            for path in sorted(left):
                path.unlink(missing_ok=True)
                runner.logger.warning(f"removed '{path}', left by an interrupted write")

    def before_val_epoch(self, runner: Runner) -> None:
        """Make the processes agree before they validate."""
        agree_on_buffers(runner.model)

    def after_train(self, runner: Runner) -> None:
        """Publish, as mmengine does, and give the work directory free."""
        super().after_train(runner)
        if self._claims:  # else whoever claimed it has more to write
            release_work_dir(runner.work_dir)

    def _step(self, runner: Runner) -> int:
        return runner.epoch if self.by_epoch else runner.iter

    def _outdated(self, runner: Runner) -> list[Path]:
        """Checkpoints of this run that a kill kept from being deleted."""
        names = runner.message_hub.runtime_info.get(_OUTDATED, ())
        source = runner._load_from or find_latest_checkpoint(runner.work_dir)
        if not runner.iter or not source or not _lies_in(source, self.out_dir):
            return []  # that log is of another folder
        kept = {Path(path).name for path in (self.last_ckpt, source, *self._best_paths()) if path}
        return [Path(self.out_dir) / name for name in names if name not in kept and (Path(self.out_dir) / name).is_file()]

    def _best_paths(self) -> list[str | None]:
        return [getattr(self, "best_ckpt_path", None), *getattr(self, "best_ckpt_path_dict", {}).values()]

    def _disown_best(self, runner: Runner) -> None:
        """Take the best checkpoint of a moved folder where it is now, and forget that of another run together with its score."""
        for key in self.key_indicators if self.save_best else ():
            suffix = "" if len(self.key_indicators) == 1 else f"_{key}"
            path = runner.message_hub.runtime_info.get(f"best_ckpt{suffix}")
            if not path or not isinstance(self.file_backend, AtomicLocalBackend) or _lies_in(path, self.out_dir):
                continue
            moved = Path(self.out_dir) / Path(path).name
            kept = str(moved) if moved.is_file() else None
            if kept is None:
                runner.message_hub.pop_info(f"best_score{suffix}", None)
                runner.logger.warning(f"'{path}' is the best checkpoint of another run, which keeps it; this run chooses a best of its own")
            runner.message_hub.update_info(f"best_ckpt{suffix}", kept)
            if suffix:
                self.best_ckpt_path_dict[key] = kept
            else:
                self.best_ckpt_path = kept

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        agree_on_buffers(runner.model)
        outdated = [self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)) for old in self._retire(runner, step)]
        waiting = [*outdated, *getattr(self.file_backend, "outdated", ())]
        runner.message_hub.update_info(_OUTDATED, [Path(path).name for path in waiting])
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        runner.save_checkpoint(
            self.out_dir,
            name,
            self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        if is_main_process():
            write_bytes(self.last_ckpt.encode(), Path(runner.work_dir) / POINTER)
            for path in outdated:
                _remove(self.file_backend, path)

    def _retire(self, runner: Runner, step: int) -> list[int]:
        """Enter a step into the list of kept checkpoints, which the checkpoint itself stores, and return the steps that drop out."""
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return []
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        outdated = [self.keep_ckpt_ids[0]] if full else []
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        return [old for old in outdated if old != step]

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        if not hasattr(self, "file_backend"):
            return  # validation without training: there is nothing new to save
        backend = self.file_backend
        self.file_backend = deferred = _RemoveLater(backend)
        try:
            super()._save_best_checkpoint(runner, metrics)
        finally:
            self.file_backend = backend
        kept = self._best_paths()
        for path in deferred.outdated:
            if path not in kept:
                _remove(backend, path)


class _RemoveLater:
    """A file backend that notes what is to be removed instead of removing it."""

    def __init__(self, backend: BaseStorageBackend) -> None:
        self._backend = backend
        self.outdated: list[str] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self._backend, name)

    def remove(self, path: str) -> None:
        self.outdated.append(path)

    rmtree = remove


def _lies_in(path: str | Path, folder: str | Path) -> bool:
    return Path(path).resolve().parent == Path(folder).resolve()


def _remove(backend: BaseStorageBackend, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # DeepSpeed writes folders
        backend.rmtree(path)
