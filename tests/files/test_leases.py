"""Chunks are done once by any number of processes; one that is killed loses the chunk it was at, and another does it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmstreet.files.leases import Leases

WORKER = """
import sys, time
from pathlib import Path
from mmstreet.files.leases import Leases
folder, job, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
leases = Leases(folder, 12, job=job, lease_s=2)
for number in leases:
    with open(folder.parent / "log", "a") as log:
        log.write(f"{number}\\n")
    if (folder.parent / "hang").exists():
        time.sleep(600)
    time.sleep(pause)
    leases.finish(number, {"n": number})
"""


def start(folder, job, pause=0.02):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), job, str(pause)], env=env)


def work(leases, limit=None):
    done = []
    for number in leases:
        done.append(number)
        leases.finish(number, {"n": number})
        if len(done) == limit:
            break
    return done


def test_one_process_takes_all_in_order_from_where_it_begins(tmp_path):
    leases = Leases(tmp_path / "x", 5, job="a", first=3)
    assert work(leases) == [3, 4, 0, 1, 2]
    assert leases.results() == {n: {"n": n} for n in range(5)}
    assert sorted(os.listdir(tmp_path / "x")) == [f"{n:06d}.done-a" for n in range(5)]


def test_several_processes_do_each_chunk_once(tmp_path):
    workers = [start(tmp_path / "x", "a") for _ in range(3)]
    assert [worker.wait(60) for worker in workers] == [0, 0, 0]
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == list(range(12))
    leases = Leases(tmp_path / "x", 12, job="b")
    assert leases.results() == {}


def test_a_killed_process_loses_one_chunk_which_another_does(tmp_path):
    (tmp_path / "hang").touch()
    victim = start(tmp_path / "x", "a")
    deadline = time.monotonic() + 60
    while not (tmp_path / "log").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (tmp_path / "hang").unlink()
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait(60)
    leases = Leases(tmp_path / "x", 12, job="a")
    assert sorted(work(leases)) == list(range(12))
    assert list(leases.results()) == list(range(12))


def test_another_job_does_the_chunks_again(tmp_path):
    assert work(Leases(tmp_path, 3, job="a")) == [0, 1, 2]
    assert work(Leases(tmp_path, 3, job="a")) == []
    assert work(Leases(tmp_path, 3, job="a", again=True)) == [0, 1, 2]
    assert work(Leases(tmp_path, 3, job="b/c d")) == [0, 1, 2]
    assert len(os.listdir(tmp_path)) == 3


def test_what_is_left_in_the_middle_is_free_again(tmp_path):
    assert work(Leases(tmp_path, 4, job="a"), limit=2) == [0, 1]
    chunks = iter(Leases(tmp_path, 4, job="a"))
    next(chunks)
    with pytest.raises(KeyboardInterrupt):
        chunks.throw(KeyboardInterrupt)
    assert work(Leases(tmp_path, 4, job="a")) == [2, 3]


def elsewhere(folder, number, *, name="other"):
    folder.mkdir(exist_ok=True)
    (folder / f"{number:06d}.lease").write_text(json.dumps({"host": "elsewhere", "space": "", "pid": 1, "start": "1", "id": name}))


def test_a_chunk_of_another_machine_is_taken_when_nobody_touches_it(tmp_path):
    elsewhere(tmp_path / "x", 1)
    leases = Leases(tmp_path / "x", 3, job="a", lease_s=0.3)
    begin = time.monotonic()
    assert work(leases) == [0, 2, 1]
    assert time.monotonic() - begin >= 0.3


def test_a_chunk_of_another_machine_that_is_touched_is_left_to_it(tmp_path):
    elsewhere(tmp_path / "x", 1)
    path = tmp_path / "x/000001.lease"

    def touch_and_sleep(seconds):
        os.utime(path, ns=(time.time_ns(), time.time_ns()))
        time.sleep(min(seconds, 0.01))

    leases = Leases(tmp_path / "x", 3, job="a", lease_s=5, sleep=touch_and_sleep)
    assert work(leases) == [0, 2]
    assert path.exists()
    assert list(leases.results()) == [0, 2]


def test_a_lease_that_another_has_taken_over_meanwhile_stays_with_it(tmp_path):
    elsewhere(tmp_path, 0, name="dead")
    leases = Leases(tmp_path, 1, job="a")
    dead = leases._holder(0)
    elsewhere(tmp_path, 0, name="faster")
    leases._holder = lambda number: dead
    assert not leases._take_over(0)
    assert json.loads((tmp_path / "000000.lease").read_text())["id"] == "faster"


def test_nothing_to_do_is_complete_at_once(tmp_path):
    leases = Leases(tmp_path, 0, job="a")
    assert work(leases) == []
    assert leases.results() == {}
