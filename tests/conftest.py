"""What every test starts with."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _no_visualizer_of_another_run():
    """mmengine finds a run's visualizer by name and second; two runs of one name in one second would write into the first one's folder."""
    yield
    if "mmengine.visualization" in sys.modules:
        base = sys.modules["mmengine.visualization"].Visualizer
        for kind in (base, *base.__subclasses__()):
            kind._instance_dict.clear()
    if "mmengine.logging" in sys.modules:  # a logger writes to the stream of the test that made it, which is closed by now
        sys.modules["mmengine.logging"].MMLogger._instance_dict.clear()
