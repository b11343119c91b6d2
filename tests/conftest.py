"""What every test starts with."""

import importlib.util
import os
import sys

import pytest

from tests.helpers.warm_python import WarmPython

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch starts: processes forked from one with more threads would wait for ever


def pytest_configure(config):
    """yapf writes its grammar into the user's cache once, before workers and child processes do so side by side and read half a file."""
    if not hasattr(config, "workerinput") and importlib.util.find_spec("yapf"):
        importlib.import_module("yapf.yapflib.yapf_api")


@pytest.fixture(scope="session")
def warm_python():
    """Runs programs that import the frameworks, without the seconds that those imports take."""
    python = WarmPython()
    yield python
    python.close()


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
