"""What ``load_from`` may name, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmstreet.engine.checkpoint_fit import plain_weights
from mmstreet.engine.errors import WeightsError
from mmstreet.engine.exported_checkpoint import PREFIX
from mmstreet.engine.pretrained import FROM_SCRATCH, fetch_weights, fit_weights
from mmstreet.models.torchvision_weights import find_layout, rename_tensors
from mmstreet.registry import HOOKS


@HOOKS.register_module()
class LoadFromHook(Hook):
    """Let ``load_from`` name torchvision's published weights, by URL or by file, in any OpenMMLab training script, or an exported model.

    ``mmstreet://street`` is the model of the package, ``FILE.onnx`` one of ``mmstreet export``.

    A URL is fetched and its hash checked before training starts. Torchvision's names become ours, tensors without a place are left out, a
    classifier for another number of classes stays fresh, and one log line says all this. Other checkpoints pass untouched.

    Raises:
        WeightsError: If the file is missing, cannot be fetched, or does not match its hash or the model, or has no weight of the model.
    """

    priority = "VERY_HIGH"

    def before_run(self, runner: Runner) -> None:
        """Fetch or find the file before any work is done."""
        source = runner._load_from  # has no public name, and cfg.load_from is absent from a runner that was built by hand
        if source is None:
            return
        if source.startswith(("http://", "https://")):
            if runner._resume:
                # with both set, mmengine resumes *from* the pretrained weights; without load_from, from the newest checkpoint of the run
                runner._load_from = None
                return
            if is_main_process():
                fetch_weights(source)
            barrier()
            fetch_weights(source)  # other nodes have a disk of their own
        elif source.endswith(".onnx") and "://" not in source:
            runner._load_from = f"{PREFIX}{source}"
        elif "://" not in source and not Path(source).expanduser().exists():
            raise WeightsError(f"load_from names '{source}', which does not exist; correct the path, {FROM_SCRATCH}")

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Rename and fit published weights in place."""
        state_dict = checkpoint.get("state_dict", checkpoint)
        layout = find_layout(state_dict)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if layout is None and not {"torchvision", "exported"} & checkpoint.get("meta", {}).keys():
            if not plain_weights(checkpoint).keys() & model.state_dict().keys():
                few = ", ".join(list(state_dict)[:3])
                raise WeightsError(
                    f"'{runner._load_from}' has no weight of this model (it has {few}, …); name weights of this model in load_from, "
                    f"{FROM_SCRATCH}"
                )
            return
        if runner._resume:
            raise WeightsError("pretrained weights hold no training state to resume; add --cfg-options load_from=None")
        kept, fresh, unused = fit_weights(rename_tensors(state_dict, layout) if layout else state_dict, model)
        gaps = [f"left fresh: {', '.join(fresh)}"] * bool(fresh) + [f"not used: {', '.join(unused)}"] * bool(unused)
        runner.logger.info("; ".join([f"{len(kept)} pretrained tensors loaded from {runner._load_from}", *gaps]))
        if "state_dict" not in checkpoint:
            checkpoint.clear()
        checkpoint["state_dict"] = kept
