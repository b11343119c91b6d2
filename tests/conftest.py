"""What every test starts with."""

import gc
import importlib.util
import os

import pytest

from tests.helpers.earlier_runs import forget_runs
from tests.helpers.warm_python import WarmPython

os.environ["CUDA_VISIBLE_DEVICES"] = ""  # bits are compared, and processes forked: both need a CPU; python -m benchmarks.gpu checks a GPU
os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch starts: processes forked from one with more threads would wait for ever


def pytest_configure(config):
    """yapf writes its grammar into the user's cache once, before workers and child processes do so side by side and read half a file."""
    if not hasattr(config, "workerinput") and importlib.util.find_spec("yapf"):
        importlib.import_module("yapf.yapflib.yapf_api")


def pytest_collection_finish():
    """What was imported stays: mmengine collects garbage for each data set, and would look through all of it."""
    gc.freeze()


@pytest.fixture(scope="session")
def warm_python():
    """Runs programs that import the frameworks, without the seconds that those imports take."""
    python = WarmPython()
    yield python
    python.close()


@pytest.fixture(autouse=True)
def _nothing_of_another_run():
    yield
    forget_runs()
