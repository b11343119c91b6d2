"""The pipelines that are compared can be built whatever ran before in the same process."""

import pytest
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from benchmarks import bench_data


@pytest.mark.parametrize("scope", [None, "mmseg", "mmstreet"])
def test_both_pipelines_are_built_in_any_scope(scope):
    register = pytest.importorskip("mmseg.utils").register_all_modules
    register(init_default_scope=False)
    with DefaultScope.overwrite_default_scope(scope):
        for steps in (bench_data.OURS, bench_data.UPSTREAM):
            for jitter in (bench_data.OUR_JITTER, bench_data.THEIR_JITTER):
                pipeline = Compose([*bench_data.LOAD, *steps, bench_data.FLIP, jitter, *bench_data.AFTER_JITTER])
                assert len(pipeline.transforms) == len(steps) + 8
