import json
import subprocess
import sys
from pathlib import Path

from tests.helpers.instance_labels import instances_by_key, random_frames, write_json

TOOL = Path(__file__).parents[2] / "tools" / "convert_bdd100k.py"


def call(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True, text=True)


def test_json_to_coco_to_bitmasks_to_coco(tmp_path):
    write_json(tmp_path / "a.json", random_frames(5))
    first = call(tmp_path / "a.json", tmp_path / "b.json", "--from", "scalabel", "--to", "coco", "--workers", 2)
    assert first.returncode == 0, first.stderr
    assert "skipped" in first.stdout
    assert call(tmp_path / "b.json", tmp_path / "masks", "--from", "coco", "--to", "bitmask").returncode == 0
    assert call(tmp_path / "masks", tmp_path / "c.json", "--from", "bitmask", "--to", "coco").returncode == 0
    before, after = (instances_by_key(json.loads((tmp_path / name).read_text())) for name in ("b.json", "c.json"))
    assert before == after
    assert json.loads((tmp_path / "masks.report.json").read_text())["instances_out"] == len(before)


def test_a_broken_file_gives_one_sentence(tmp_path):
    (tmp_path / "a.json").write_text('[{"name": "a.jpg"')
    done = call(tmp_path / "a.json", tmp_path / "b.json", "--from", "scalabel", "--to", "coco")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"{tmp_path}/a.json is not whole JSON")
    assert "Traceback" not in done.stderr


def test_options_without_meaning_are_refused(tmp_path):
    done = call("a", "b", "--from", "coco", "--to", "coco", "--bitmasks", "c")
    assert done.returncode == 2
    assert "--bitmasks goes with --from scalabel" in done.stderr
