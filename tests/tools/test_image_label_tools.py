import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mmstreet.mini.writer import MiniSettings, write_mini_dataset

TOOLS = Path(__file__).parents[2] / "tools"


def call(tool, *arguments):
    return subprocess.run([sys.executable, str(TOOLS / tool), *map(str, arguments)], capture_output=True, text=True)


def test_labels_are_made_from_masks_and_described(tmp_path):
    write_mini_dataset(tmp_path / "mini", MiniSettings(train=3, val=0, size_wh=(160, 96)))
    made = call("make_image_labels.py", "masks", tmp_path / "mini", "--out", tmp_path / "made.json", "--workers", 1)
    assert made.returncode == 0, made.stderr
    assert json.loads((tmp_path / "made.json").read_text()) == json.loads((tmp_path / "mini" / "image_labels_train.json").read_text())
    described = call("describe_image_labels.py", f"Mini={tmp_path / 'made.json'}", "--out", tmp_path / "stats")
    assert described.returncode == 0, described.stderr
    assert json.loads((tmp_path / "stats" / "image_labels.json").read_text())["Mini"]["images"] == 3
    assert (tmp_path / "stats" / "image_labels.png").stat().st_size > 10_000
    assert "| Mini |" in described.stdout


def test_a_bad_array_file_gives_one_sentence(tmp_path):
    np.save(tmp_path / "l.npy", np.ones(3))
    done = call("make_image_labels.py", "npy", tmp_path / "l.npy", "--classes", "cityscapes19", "--out", tmp_path / "o.json")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "is not read as image-level labels" in done.stderr
    assert not (tmp_path / "o.json").exists()
