"""The GPU command goes on after a part that fails, and its exit code and table say so."""

import logging
import sys

import pytest
import torch

from benchmarks import gpu, gpu_parity, gpu_training


@pytest.fixture(autouse=True)
def _logging_again():
    yield
    logging.disable(logging.NOTSET)


def call(monkeypatch, tmp_path, *args):
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cpu", "--quick", "--out", str(tmp_path / "runs" / "gpu.md"), *args])
    code = gpu.main()
    return code, (tmp_path / "runs" / "gpu.md").read_text()


def test_parts_that_fail_are_named_and_the_others_go_on(monkeypatch, tmp_path):
    def broken(device):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(gpu_parity, "compare_losses", broken)
    monkeypatch.setattr(gpu_training, "count_waits", lambda device: [lambda: 1 / 0, lambda: [dict(what="a step", value=3, note="fine")]])
    code, table = call(monkeypatch, tmp_path, "--only", "parity", "waits")
    assert code == 1
    assert "RuntimeError: no such kernel" in table
    assert "ZeroDivisionError" in table
    assert "a step" in table
    assert table.count("**failed**") == 2


def test_a_metric_that_differs_fails(monkeypatch, tmp_path):
    rows = [dict(what="metric", value=0.5, note="greatest distance of 3 scalars", failed=True)]
    monkeypatch.setattr(gpu_parity, "compare_losses", lambda device: [])
    monkeypatch.setattr(gpu_parity, "compare_metrics", lambda device: [lambda: rows])
    assert call(monkeypatch, tmp_path, "--only", "parity")[0] == 1


def test_every_loss_is_compared_and_equals_itself(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_parity, "compare_metrics", lambda device: [])
    code, table = call(monkeypatch, tmp_path, "--only", "parity")
    assert code == 0
    for name in ("FocalDiceLoss", "TverskyLoss", "CARBLoss", "LovaszSoftmaxLoss", "RMILoss", "BoundaryLoss"):
        assert f"{name}, float32" in table


def test_without_a_gpu_it_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu", "--device", "cuda"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        gpu.main()
    assert "sees no CUDA device; take --device cpu" in capsys.readouterr().err
