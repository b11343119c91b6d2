"""What the tests of commands share: a command run in this process, its refusal, and a data set whose predictions are known beforehand."""

import logging

import pytest

from mmstreet.cli.commands import main
from tests.helpers.color_streets import CONFIG, write_checkpoint, write_streets
from tests.helpers.earlier_runs import forget_runs


@pytest.fixture(autouse=True)
def _one_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run():
    """Run a command that has to succeed."""

    def call(*words):
        forget_runs()
        assert main(list(map(str, words))) == 0

    return call


@pytest.fixture
def refusal(capsys, monkeypatch):
    """Run a command that has to refuse with exit code 1, and return its one sentence."""

    monkeypatch.setattr(logging, "raiseExceptions", False)  # mmengine's logger of an earlier test writes to its closed stream

    def call(*words):
        capsys.readouterr()
        assert main(list(map(str, words))) == 1
        said = capsys.readouterr().err
        lines = [line for line in said.splitlines() if line.startswith(f"mmstreet {words[0]}: ")]
        assert said.endswith(f"{lines[0]}\n")
        assert len(lines) == 1
        assert "Traceback" not in said
        return lines[0].partition(": ")[2]

    return call


@pytest.fixture
def streets(tmp_path, monkeypatch):
    """A data set, its config and a checkpoint, in an empty working directory."""
    pairs = write_streets(tmp_path / "data")
    (tmp_path / "streets.py").write_text(CONFIG.format(root=str(tmp_path / "data")))
    write_checkpoint(tmp_path / "epoch_1.pth")
    monkeypatch.chdir(tmp_path)
    return pairs
