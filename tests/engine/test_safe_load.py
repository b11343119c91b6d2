"""Checkpoints are read as data: mmengine's records pass, code does not run."""

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from mmstreet.engine.safe_load import read_checkpoint, safe_loading


class Payload:
    """Writes a file when it is unpickled, as a hostile checkpoint would."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.fixture
def training_checkpoint(tmp_path):
    buffer = HistoryBuffer()
    for value in (3.0, 2.0, 1.0):
        buffer.update(value)
    path = tmp_path / "epoch_1.pth"
    torch.save(
        {
            "state_dict": {"w": torch.arange(3.0)},
            "message_hub": {"log_scalars": {"train/loss": buffer}, "runtime_info": {"best_score": np.float64(41.5), "iter": np.int64(7)}},
            "numpy_state": np.random.RandomState(0).get_state(),
            "masks": [np.zeros(2, bool), np.ones(2, np.float32)],
        },
        path,
    )
    return path


def check_content(checkpoint):
    assert checkpoint["state_dict"]["w"].tolist() == [0, 1, 2]
    assert checkpoint["message_hub"]["log_scalars"]["train/loss"].mean() == 2.0
    assert checkpoint["message_hub"]["runtime_info"] == {"best_score": 41.5, "iter": 7}
    assert np.array_equal(checkpoint["numpy_state"][1], np.random.RandomState(0).get_state()[1])


def test_log_history_and_numpy_values_are_read_back(training_checkpoint):
    check_content(read_checkpoint(training_checkpoint))


def test_mmengine_reads_the_same_file_inside_the_block(training_checkpoint):
    with safe_loading():
        check_content(CheckpointLoader.load_checkpoint(str(training_checkpoint), map_location="cpu", logger="silent"))


def test_a_file_written_under_the_other_numpy_is_read(training_checkpoint):
    ours, other = (b"numpy._core", b"numpy.core") if np.__version__ >= "2" else (b"numpy.core", b"numpy._core")
    path = training_checkpoint.with_name("legacy.pth")
    torch.save({"score": np.float64(2.5)}, path, _use_new_zipfile_serialization=False)
    data = path.read_bytes()
    assert ours in data
    path.write_bytes(data.replace(ours, other))
    assert read_checkpoint(path)["score"] == 2.5


def test_code_in_a_checkpoint_does_not_run_and_is_named(tmp_path):
    victim = tmp_path / "written_by_checkpoint"
    path = tmp_path / "bad.pth"
    torch.save({"state_dict": {}, "x": Payload(str(victim))}, path)
    with pytest.raises(ValueError, match=r"'(_?io\.)?open'.*TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"):
        read_checkpoint(path)
    with pytest.raises(ValueError, match="holds the Python object"), safe_loading():
        CheckpointLoader.load_checkpoint(str(path), map_location="cpu", logger="silent")
    with pytest.raises(ValueError, match="holds the Python object"), safe_loading():
        torch.load(path, weights_only=False)
    assert not victim.exists()


def test_getattr_reaches_only_the_log_statistics(tmp_path):
    path = tmp_path / "attribute.pth"
    payload = type("Payload", (), {"__reduce__": lambda self: (getattr, (np.ndarray, "tofile"))})()
    torch.save({"x": payload}, path)
    with pytest.raises(ValueError, match="getattr"):
        read_checkpoint(path)


def test_the_environment_is_left_as_it_was(training_checkpoint, monkeypatch):
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    monkeypatch.delenv(name, raising=False)
    read_checkpoint(training_checkpoint)
    assert name not in os.environ
    monkeypatch.setenv(name, "0")
    with safe_loading():
        assert os.environ[name] == "1"
    assert os.environ[name] == "0"
    with pytest.raises(pickle.UnpicklingError):
        torch.load(training_checkpoint, weights_only=True)


def test_torchs_own_switch_of_trust_is_respected(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    path = tmp_path / "trusted.pth"
    torch.save({"x": complex, "y": slice(3)}, path)
    with safe_loading(), pytest.warns(UserWarning, match="forcing weights_only=False"):
        assert torch.load(path)["y"] == slice(3)


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth' does not exist"):
        read_checkpoint(tmp_path / "nothing.pth")
