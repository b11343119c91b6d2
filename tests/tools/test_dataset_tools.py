"""The data tools as a user runs them: output, files and exit codes."""

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.helpers.street_files import make_root, truncate

TOOLS = Path(__file__).parents[2] / "tools"


def run(tool, *args):
    return subprocess.run([sys.executable, TOOLS / tool, *map(str, args)], capture_output=True, text=True, check=False)


def test_verification_names_damage_writes_its_files_and_fails(tmp_path):
    root = make_root(tmp_path / "bdd", "bdd100k_10k", {"train": list("abcd"), "val": ["z"]})
    truncate(root / "images/10k/train/a.jpg")
    done = run("verify_dataset.py", root, "--out", tmp_path / "out", "--workers", 1)
    assert done.returncode == 1, done.stderr
    assert "train/a.jpg is truncated" in done.stdout
    assert "1 problem found" in done.stdout
    report = json.loads((tmp_path / "out/dataset.json").read_text())
    assert [p["kind"] for p in report["problems"]] == ["unreadable image"]
    # labels are all class 0, 1, 2, 0: inverse shares 2, 4, 4 over their mean
    assert [round(row["weight"], 4) for row in report["classes"][:3]] == [0.6, 1.2, 1.2]
    assert Image.open(tmp_path / "out/class_pixels.png").width > 300


def test_verification_of_a_sound_data_set_succeeds(tmp_path):
    root = make_root(tmp_path / "bdd", "bdd100k_10k", {"train": ["a"]})
    done = run("verify_dataset.py", root, "--out", tmp_path / "out", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert "no problem found" in done.stdout


def test_verification_of_nothing_is_one_sentence(tmp_path):
    done = run("verify_dataset.py", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("verify_dataset: ")
    assert "Traceback" not in done.stderr


def test_splitting_writes_list_files_and_says_where(tmp_path):
    root = make_root(tmp_path / "camvid", "camvid11", {"train": list("abcdefgh"), "val": list("yz")})
    done = run("split_dataset.py", root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["train", "8", "images", f"{root}/splits/train.txt", "val", "2", "images", f"{root}/splits/val.txt"]
    refused = run("split_dataset.py", root, "--seed", 9)
    assert refused.returncode == 1
    assert "is another split" in refused.stderr
