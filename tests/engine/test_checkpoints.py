"""Checkpoint files are whole or absent, and the newest whole one is found."""

import os

import pytest
import torch
from mmengine.fileio import get_file_backend

from mmstreet.engine.checkpoints import BACKEND, is_complete, latest_checkpoint, remove_partial_files


@pytest.fixture
def checkpoint(tmp_path):
    """Write a real checkpoint; the name gives its age."""

    def write(name, age=0):
        path = tmp_path / name
        torch.save({"state_dict": {"w": torch.zeros(1000)}}, path)
        os.utime(path, (1_700_000_000 - age,) * 2)
        return path

    return write


def test_what_interrupted_writes_left_is_removed(tmp_path):
    (tmp_path / ".epoch_1.pth.x1.partial").touch()
    (tmp_path / "epoch_1.pth").touch()
    assert [p.name for p in remove_partial_files(tmp_path)] == [".epoch_1.pth.x1.partial"]
    assert [p.name for p in tmp_path.iterdir()] == ["epoch_1.pth"]


def test_mmengine_finds_the_atomic_backend_by_name(tmp_path):
    backend = get_file_backend(str(tmp_path), backend_args={"backend": BACKEND})
    backend.put(b"bytes", str(tmp_path / "folder" / "a"))
    backend.put_text("text", str(tmp_path / "b"))
    assert (tmp_path / "folder" / "a").read_bytes() == b"bytes"
    assert (tmp_path / "b").read_text() == "text"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_not_complete(checkpoint, share):
    path = checkpoint("epoch_1.pth")
    assert is_complete(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert not is_complete(path)


def test_the_pointer_decides_also_when_an_older_run_left_higher_numbers(tmp_path, checkpoint):
    checkpoint("epoch_10.pth", age=500)
    newest = checkpoint("epoch_2.pth")
    checkpoint("epoch_1.pth", age=-500)  # copied later
    (tmp_path / "last_checkpoint").write_text(str(newest))
    assert latest_checkpoint(tmp_path) == newest


def test_the_successor_of_the_named_one_counts_when_the_run_was_killed_before_naming_it(tmp_path, checkpoint):
    (tmp_path / "last_checkpoint").write_text(str(checkpoint("epoch_9.pth", age=100)))
    checkpoint("iter_500.pth")
    newest = checkpoint("epoch_10.pth")
    assert latest_checkpoint(tmp_path) == newest


def test_the_pointer_holds_after_the_folder_was_moved(tmp_path, checkpoint):
    newest = checkpoint("epoch_2.pth", age=100)
    checkpoint("epoch_1.pth")
    (tmp_path / "last_checkpoint").write_text("/somewhere/else/epoch_2.pth")
    assert latest_checkpoint(tmp_path) == newest


def test_a_spoilt_or_partial_newest_checkpoint_is_passed_over(tmp_path, checkpoint):
    good = checkpoint("epoch_2.pth", age=100)
    spoilt = checkpoint("epoch_3.pth")
    spoilt.write_bytes(spoilt.read_bytes()[:2000])
    checkpoint(".epoch_4.pth.partial", age=-100)
    checkpoint("best_mIoU_epoch_1.pth", age=-200)
    (tmp_path / "last_checkpoint").write_text(str(spoilt))
    assert latest_checkpoint(tmp_path) == good


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / "absent") is None


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x" * 5000, b"", b"a\x00b", b"/"])
def test_a_pointer_that_is_no_path_is_passed_over(tmp_path, checkpoint, content):
    newest = checkpoint("epoch_2.pth")
    (tmp_path / "last_checkpoint").write_bytes(content)
    assert latest_checkpoint(tmp_path) == newest
