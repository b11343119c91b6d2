"""Checkpoints that a kill at any moment cannot spoil."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.fileio.backends import BaseStorageBackend, LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner

from mmstreet.engine.checkpoints import BACKEND, POINTER, AtomicLocalBackend, remove_partial_files
from mmstreet.files.atomic import write_bytes
from mmstreet.registry import HOOKS


@HOOKS.register_module()
class AtomicCheckpointHook(CheckpointHook):
    """mmengine's ``CheckpointHook``, with the same settings, safe against a kill during a write.

    A checkpoint appears under its name when it is complete and on the disk. Then ``last_checkpoint`` is pointed to it, and only then
    are older checkpoints deleted, also with ``max_keep_ckpts=1``; mmengine deletes first. The same holds for the best checkpoint.
    What an interrupted write left behind is removed when training starts again. Files outside the local file system are written as
    mmengine writes them.
    """

    def before_train(self, runner: Runner) -> None:
        """Choose where checkpoints go, and clear away what an interrupted write left there."""
        super().before_train(runner)
        if self.file_client_args is None and self.backend_args is None and type(self.file_backend) is LocalBackend:
            self.backend_args = {"backend": BACKEND}
            self.file_backend = AtomicLocalBackend()
        if is_main_process() and isinstance(self.file_backend, AtomicLocalBackend):
            for path in {*remove_partial_files(self.out_dir), *remove_partial_files(runner.work_dir)}:
                runner.logger.warning(f"removed '{path}', left by an interrupted write")

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        outdated = self._retire(runner, step)
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
            for old in outdated:
                _remove(self.file_backend, self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))

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
        kept = {getattr(self, "best_ckpt_path", None), *getattr(self, "best_ckpt_path_dict", {}).values()}
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


def _remove(backend: BaseStorageBackend, path: str) -> None:
    if backend.isfile(path):
        backend.remove(path)
    elif backend.isdir(path):  # DeepSpeed writes folders
        backend.rmtree(path)
