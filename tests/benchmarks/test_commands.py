"""The benchmark of commands."""

import pytest

from benchmarks import bench_commands

pytest.importorskip("mmseg")


def test_a_test_can_be_measured_twice_in_one_process():
    first, second = bench_commands.test_row(quick=True), bench_commands.test_row(quick=True)
    assert first["name"] == second["name"] == "mmstreet test, 2 images / its forward passes"
    assert min(first["value"], second["value"]) > 1  # all of it against a part of it
