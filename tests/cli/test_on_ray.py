"""``--launcher ray``: what several processes on Ray write is what one writes, to the bit, also when one of them is killed.

Starting Ray takes its time: pytest -m slow tests/cli/test_on_ray.py
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mmstreet.cli.commands import main
from mmstreet.cli.on_ray import asks_for_ray
from tests.helpers import published_sets
from tests.helpers.color_model import render_colors, write_model, write_png

ROOT = Path(__file__).parents[2]
IMAGES = 24


def start(folder, *command, workers=2):
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "RAY_DISABLE_IMPORT_WARNING": "1"}
    more = ["--launcher", "ray", "--ray-workers", str(workers), "--ray-cpus", "0.5"]
    line = [sys.executable, "-m", "mmstreet", *map(str, command), *more]
    return subprocess.Popen(line, env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(folder, *command, workers=2):
    process = start(folder, *command, workers=workers)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said[-3000:]
    return said


def maps(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted((folder / "labels").rglob("*.png"))}


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    pytest.importorskip("ray")
    folder = tmp_path_factory.mktemp("ray")
    for i in range(IMAGES):
        write_png(folder / f"streets/{i:02d}.png", render_colors(i)[0])
    model = write_model(folder)
    command = ["predict", folder / "streets", "--config", model[0], "--checkpoint", model[1], "--device", "cpu", "--no-overlays"]
    assert main([*map(str, command), "--out", str(folder / "one")]) == 0
    return folder, command


def test_what_asks_for_ray():
    assert asks_for_ray(["x", "--launcher", "ray"])
    assert asks_for_ray(["--launcher=ray"])
    assert not asks_for_ray(["ray", "--launcher", "auto"])


def test_a_command_of_one_process_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["mini", "out", "--launcher", "ray"])
    assert "--launcher ray goes with predict, refine" in capsys.readouterr().err


@pytest.mark.slow
def test_two_workers_predict_what_one_process_predicts(streets):
    folder, command = streets
    said = run(folder, *command, "--out", "two")
    assert sum(map(int, re.findall(r"(\d+) predicted", said))) == IMAGES
    assert maps(folder / "two") == maps(folder / "one")
    assert json.loads((folder / "two/summary.json").read_text()) == json.loads((folder / "one/summary.json").read_text())


@pytest.mark.slow
def test_a_killed_worker_costs_one_chunk(streets):
    folder, command = streets
    process = start(folder, *command, "--out", "killed")
    deadline, victims = time.monotonic() + 120, []
    while not victims and time.monotonic() < deadline:
        for lease in (folder / "killed").glob(".shares/*/*.lease"):
            try:
                victims.append(json.loads(lease.read_text())["pid"])
            except (ValueError, FileNotFoundError):  # just being written, or done
                continue
        time.sleep(0.002)
    os.kill(victims[0], signal.SIGKILL)
    said = process.communicate(timeout=300)[0]
    assert process.returncode == 0, said[-3000:]
    assert maps(folder / "killed") == maps(folder / "one")
    summary = json.loads((folder / "killed/summary.json").read_text())
    assert (summary["done"], summary["pending"]) == (IMAGES, 0)


@pytest.mark.slow
def test_verify_and_convert_on_two_workers(tmp_path):
    pytest.importorskip("ray")
    published_sets.camvid(tmp_path / "set")
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml"), "--workers", "1"]) == 0
    assert main(["verify", str(tmp_path / "data.yaml"), "--out", str(tmp_path / "v1"), "--workers", "1"]) == 0
    run(tmp_path, "verify", tmp_path / "data.yaml", "--out", "v2")
    reports = [json.loads((tmp_path / name / "dataset.json").read_text()) for name in ("v1", "v2")]
    assert reports[0] == reports[1]
    assert main(["convert", str(tmp_path / "data.yaml"), str(tmp_path / "one.json"), "--to", "coco", "--workers", "1"]) == 0
    run(tmp_path, "convert", tmp_path / "data.yaml", "two.json", "--to", "coco")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()


@pytest.mark.slow
def test_train_and_test_on_two_workers(tmp_path):
    pytest.importorskip("ray")
    published_sets.plain_ids(tmp_path / "set")
    assert main(["init", str(tmp_path / "set"), "--out", str(tmp_path / "data.yaml"), "--workers", "1"]) == 0
    options = [f"{name}_dataloader.{key}" for name in ("train", "val", "test") for key in ("num_workers=0", "persistent_workers=False")]
    run(tmp_path, "train", "street", "data.yaml", "--epochs", "1", "--batch-size", "2", "--cfg-options", *options)
    assert (tmp_path / "work_dirs/street_set/epoch_1.pth").is_file()
    run(tmp_path, "test", "street", "data.yaml", "work_dirs/street_set", "--out", "two", "--cfg-options", *options)
    run(tmp_path, "test", "street", "data.yaml", "work_dirs/street_set", "--out", "one", "--cfg-options", *options, workers=1)
    scores = [json.loads((tmp_path / name / "metrics.json").read_text())["evaluation"] for name in ("one", "two")]
    assert scores[0]["per_class"] == scores[1]["per_class"]


@pytest.mark.slow
def test_too_many_processes_are_refused_in_a_sentence(tmp_path):
    pytest.importorskip("ray")
    process = start(tmp_path, "test", "street", tmp_path, workers=10_000)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "10000 processes of 0.5 need 5000" in said
