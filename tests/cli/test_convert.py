import json

import pytest

from mmstreet.cli.commands import main
from tests.helpers.instance_labels import instances_by_key, random_frames, write_json


def test_json_to_coco_to_bitmasks_to_coco(tmp_path, run, capsys):
    write_json(tmp_path / "a.json", random_frames(5))
    run("convert", tmp_path / "a.json", tmp_path / "b.json", "--from", "scalabel", "--to", "coco", "--workers", 2)
    assert "skipped" in capsys.readouterr().out
    run("convert", tmp_path / "b.json", tmp_path / "masks", "--from", "coco", "--to", "bitmask")
    run("convert", tmp_path / "masks", tmp_path / "c.json", "--from", "bitmask", "--to", "coco")
    before, after = (instances_by_key(json.loads((tmp_path / name).read_text())) for name in ("b.json", "c.json"))
    assert before == after
    assert json.loads((tmp_path / "masks.report.json").read_text())["instances_out"] == len(before)


def test_a_broken_file_gives_one_sentence(tmp_path, refusal):
    (tmp_path / "a.json").write_text('[{"name": "a.jpg"')
    sentence = refusal("convert", tmp_path / "a.json", tmp_path / "b.json", "--from", "scalabel", "--to", "coco")
    assert sentence.startswith(f"{tmp_path}/a.json is not whole JSON")


def test_options_without_meaning_are_refused(capsys):
    with pytest.raises(SystemExit):
        main(["convert", "a", "b", "--from", "coco", "--to", "coco", "--bitmasks", "c"])
    assert "--bitmasks goes with --from scalabel" in capsys.readouterr().err
