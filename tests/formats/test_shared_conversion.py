"""A conversion that several processes do together gives the bytes of one process, also when one of them is killed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from mmstreet.cli.commands import main
from tests.helpers import published_sets

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path):
    published_sets.camvid(tmp_path / "set")
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml"), "--workers", "1"]) == 0
    return tmp_path / "data.yaml"


def content(path):
    paths = sorted(x for x in path.rglob("*") if x.is_file()) if path.is_dir() else [path]
    return {x.relative_to(path.parent).as_posix().replace(path.name, "out"): x.read_bytes() for x in paths}


DIES = """
import os, signal, sys
from mmstreet.files.leases import Leases
Leases.finish = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # with its first chunk written and not yet said
from mmstreet.__main__ import main
main(sys.argv[1:])
"""


def start(*command, job="j", dies=False):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "MMSTREET_JOB": f"ray-{job}"}  # names that begin so are unique
    program = ["-c", DIES] if dies else ["-m", "mmstreet"]
    return subprocess.Popen([sys.executable, *program, *map(str, command)], env=env, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("target", ["coco", "webdataset"])
def test_two_processes_write_what_one_writes(data, tmp_path, target):
    out = {name: tmp_path / (f"{name}.json" if target == "coco" else name) for name in ("one", "two")}
    assert main(["convert", str(data), str(out["one"]), "--to", target, "--workers", "1"]) == 0
    running = [start("convert", data, out["two"], "--to", target) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum("20 in" in text for text in said) == 1
    assert content(out["two"]) == content(out["one"])
    reports = [json.loads(path.with_name(f"{path.stem}.report.json").read_text()) for path in out.values()]
    assert reports[0] == reports[1]


def test_a_killed_process_costs_nothing_but_its_chunk(data, tmp_path):
    assert main(["convert", str(data), str(tmp_path / "one"), "--to", "semantic", "--workers", "1"]) == 0
    victim = start("convert", data, tmp_path / "two", "--to", "semantic", dies=True)
    victim.communicate(timeout=120)
    assert victim.returncode == -signal.SIGKILL
    assert list(tmp_path.glob(".two.shares/.shares/*/*.lease"))
    assert not (tmp_path / "two").exists()
    other = start("convert", data, tmp_path / "two", "--to", "semantic")
    other.communicate(timeout=120)
    assert other.returncode == 0
    assert content(tmp_path / "two") == content(tmp_path / "one")


def test_a_folder_that_is_there_is_kept(data, tmp_path):
    (tmp_path / "two").mkdir()
    (tmp_path / "two/mine.txt").write_text("mine")
    process = start("convert", data, tmp_path / "two", "--to", "semantic")
    process.communicate(timeout=120)
    assert process.returncode == 1
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["mine.txt"]


def test_verify_shared_out_gives_the_report_of_one_process(data, tmp_path):
    assert main(["verify", str(data), "--out", str(tmp_path / "one"), "--workers", "1"]) == 0
    running = [start("verify", data, "--out", tmp_path / "two") for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert any("no problem found" in text for text in said)
    reports = [json.loads((tmp_path / name / "dataset.json").read_text()) for name in ("one", "two")]
    assert reports[0] == reports[1]
