"""Settings by parameter, without one optimizer group per parameter."""

from __future__ import annotations

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from mmstreet.registry import OPTIM_WRAPPER_CONSTRUCTORS


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class MergedGroupsConstructor(DefaultOptimWrapperConstructor):
    """Read ``paramwise_cfg`` as mmengine does, then join the groups whose settings are equal.

    mmengine makes a group of each parameter. torch updates one group after the other, so the fused updates of an optimizer then work on one
    tensor each: a small network of 250 tensors waits for some 3,000 kernel launches in every step. The update itself stays the same.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer of the model with as few groups as there are different settings, in the order of their first parameter."""
        wrapper = super().__call__(model)
        merged: list[dict] = []
        for group in wrapper.optimizer.param_groups:
            settings = {key: value for key, value in group.items() if key != "params"}
            same = next((kept for kept in merged if {key: value for key, value in kept.items() if key != "params"} == settings), None)
            if same is None:
                merged.append(group)
            else:
                same["params"] += group["params"]
        wrapper.optimizer.param_groups[:] = merged
        return wrapper
