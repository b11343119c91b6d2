"""What the tests of ``tools/test.py`` share: a data set whose predictions are known beforehand, and the tool as a user runs it."""

import runpy
import sys
from pathlib import Path

import pytest

from tests.helpers.color_streets import CONFIG, write_checkpoint, write_streets

TEST_TOOL = str(Path(__file__).parents[2] / "tools" / "test.py")


@pytest.fixture
def streets(tmp_path, monkeypatch):
    """A data set, its config and a checkpoint, in an empty working directory."""
    pairs = write_streets(tmp_path / "data")
    (tmp_path / "streets.py").write_text(CONFIG.format(root=str(tmp_path / "data")))
    write_checkpoint(tmp_path / "epoch_1.pth")
    monkeypatch.chdir(tmp_path)
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    return pairs


@pytest.fixture
def run_tool(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", [TEST_TOOL, *map(str, arguments)])
        runpy.run_path(TEST_TOOL, run_name="__main__")

    return run
