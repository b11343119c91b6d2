"""A folder of results is of one checkpoint, and only what a test wrote is ever removed."""

import json
import os

import pytest

from mmstreet.evaluation.result_folder import ResultFolder


def fill(folder, checkpoint, *names):
    results = ResultFolder(folder, checkpoint)
    removed = results.start()
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(str(checkpoint))
    results.add(folder / name for name in names)
    return removed


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "epoch_1.pth"
    path.write_bytes(b"one")
    return str(path)


def test_a_test_of_the_same_file_keeps_the_results_and_of_new_weights_under_its_name_replaces_them(tmp_path, weights):
    out = tmp_path / "out"
    assert fill(out, weights, "metrics.json", "images/01.png", "images/index.json") == []
    assert fill(out, weights, "metrics.json", "safety/metrics.json") == []
    (out / "mine.txt").write_text("mine")
    (out / "safety/mine.png").write_text("mine")
    with open(weights, "wb") as file:
        file.write(b"two")
    os.utime(weights, ns=(1, 1))
    assert fill(out, weights, "metrics.json") == ["metrics.json", "images/01.png", "images/index.json", "safety/metrics.json"]
    left = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert left == {"metrics.json", "files.json", "mine.txt", "safety/mine.png"}
    assert not (out / "images").exists(), "a folder that is empty then goes too"


def test_weights_without_a_file_are_always_others(tmp_path):
    fill(tmp_path, None, "metrics.json", "per_class.csv")
    assert fill(tmp_path, None, "metrics.json") == ["metrics.json", "per_class.csv"]
    fill(tmp_path, "https://a.b/c.pth", "per_class.csv")
    assert fill(tmp_path, "https://a.b/c.pth") == []


@pytest.mark.parametrize("name", ["../private.json", "absolute path", "out/private.json", "link.json", "epoch_1.pth", 7, None])
def test_a_list_that_somebody_else_wrote_removes_nothing_else(tmp_path, name):
    private = tmp_path / "private.json"
    private.write_text("{}")
    name = str(private) if name == "absolute path" else name
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    (folder / "link.json").symlink_to(private)
    (folder / "epoch_1.pth").write_text("weights")
    (folder / "files.json").write_text(json.dumps({"checkpoint": None, "files": [name]}))
    assert ResultFolder(folder, None).start() == []
    assert private.exists()
    assert (folder / "epoch_1.pth").exists()
    assert (folder / "link.json").is_symlink()


@pytest.mark.parametrize("content", ["", "[]", "3", '{"files": 3, "checkpoint": null}', "{}", "\x00"])
def test_a_damaged_list_is_none(tmp_path, content):
    (tmp_path / "files.json").write_text(content)
    assert ResultFolder(tmp_path, None).start() == []
    assert json.loads((tmp_path / "files.json").read_text())["files"] == []
