import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmstreet.files.parallel import map_chunks


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(map_chunks(sum, range(20), workers=workers, chunk_size=3)) == [3, 12, 21, 30, 39, 48, 37]
    assert list(map_chunks(sum, [], workers=workers)) == []


def test_work_under_way_does_not_grow_with_the_number_of_items():
    taken, done = [], 0
    for number in map_chunks(len, (taken.append(i) or i for i in range(400)), workers=2, chunk_size=4):
        done += number
        assert len(taken) - done <= 5 * 4
    assert done == 400


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_the_work_comes_through(workers):
    with pytest.raises(TypeError, match="unsupported operand"):
        list(map_chunks(sum, ["a"] * 100, workers=workers))


def test_no_workers_are_refused():
    with pytest.raises(ValueError, match="workers must be 1 or more, got 0"):
        list(map_chunks(sum, [1], workers=0))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"  # one that has ended and nobody asked about
    except FileNotFoundError:
        return False


def test_workers_end_with_a_parent_that_is_killed():
    code = (
        "import os, time; from mmstreet.files.parallel import map_chunks\n"
        "results = map_chunks(len, range(10**9), workers=2)\n"
        "next(results); print(*(p.pid for p in __import__('multiprocessing').active_children()), flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    until = time.monotonic() + 30
    while any(is_running(worker) for worker in workers):
        assert time.monotonic() < until, f"{workers} go on without their parent"
        time.sleep(0.05)
