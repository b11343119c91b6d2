"""``run.json`` is written around a run, by the main process, where it belongs; the page shows it."""

import json

import mmengine
import numpy as np
import pytest
import torch
from mmengine.config import Config

from mmstreet.cli.report import show_run
from mmstreet.evaluation import run_record
from mmstreet.evaluation.run_record import command_line, describe_config, home_of, read_record, recorded
from tests.helpers.run_folders import write_logs

BASE = "model = dict(depth=50, heads=dict(a=1))\ntrain_cfg = dict(max_epochs=9)\n"
LEAF = '"""Does a thinner one\nsuffice?\n\nMore text."""\n\n_base_ = "./base.py"\n\nmodel = dict(depth=18)\n'


@pytest.fixture
def cfg(tmp_path, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "leaf.py").write_text(LEAF)
    config = Config.fromfile(tmp_path / "leaf.py")
    config.work_dir = str(tmp_path / "run")
    return config


def test_a_run_notes_its_command_its_change_and_its_end(cfg, tmp_path):
    with recorded(cfg, ["mmstreet", "train", "a b.py"], kind="train", folder=cfg.work_dir):
        open_record = read_record(cfg.work_dir)
        write_logs(tmp_path / "run")
    record = read_record(cfg.work_dir)
    assert open_record["commands"][0]["ended"] is None
    assert record["commands"][0]["command"] == "mmstreet train 'a b.py'"
    assert record["commands"][0]["ended"] >= record["commands"][0]["started"]
    assert record["config"]["question"] == "Does a thinner one suffice?"
    assert (record["config"]["base"], record["config"]["changes"]) == ("base.py", [["model.depth", "50", "18"]])
    assert record["environment"]["torch"] == torch.__version__
    assert record["environment"]["numpy"] == f"{np.__version__} (numpy)"
    assert record["environment"]["mmengine"].startswith(f"{mmengine.__version__} (")


def test_a_test_adds_its_command_and_keeps_the_trainings_config(cfg, tmp_path):
    write_logs(tmp_path / "run")
    with recorded(cfg, ["train"], kind="train", folder=cfg.work_dir):
        pass
    with recorded(Config(dict(work_dir=cfg.work_dir)), ["test"], kind="test", folder=cfg.work_dir):
        pass
    record = read_record(cfg.work_dir)
    assert [command["kind"] for command in record["commands"]] == ["train", "test"]
    assert record["config"]["base"] == "base.py"


def test_settings_of_the_command_line_show_as_changes(cfg):
    cfg.merge_from_dict({"train_cfg.max_epochs": 2})
    assert ["train_cfg.max_epochs", "9", "2"] in describe_config(cfg)["changes"]
    assert describe_config(Config(dict(model=1)))["base"] is None


def test_a_base_that_cannot_be_read_by_itself_is_said_and_stops_nothing(cfg, tmp_path):
    (tmp_path / "base.py").unlink()
    found = describe_config(cfg)
    assert (found["base"], found["changes"]) == (None, [])
    assert "base.py" in found["problem"]
    with recorded(cfg, ["train"], kind="train", folder=cfg.work_dir):
        write_logs(tmp_path / "run")
    show_run(cfg.work_dir)
    page = (tmp_path / "run/report.html").read_text()
    assert "could not be read by itself" in page
    assert "Does a thinner one suffice?" in page


def test_a_run_that_fails_has_no_end(cfg, tmp_path):
    write_logs(tmp_path / "run")
    with pytest.raises(RuntimeError, match="loss"), recorded(cfg, ["train"], kind="train", folder=cfg.work_dir):
        raise RuntimeError("loss")
    assert read_record(cfg.work_dir)["commands"][0]["ended"] is None


def test_only_the_main_process_writes(cfg, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with recorded(cfg, ["train"], kind="train", folder=cfg.work_dir):
        pass
    monkeypatch.delenv("RANK")
    monkeypatch.setattr(run_record, "is_main_process", lambda: False)
    with recorded(cfg, ["train"], kind="train", folder=cfg.work_dir):
        pass
    assert not (tmp_path / "run").exists()


def test_a_test_belongs_to_the_run_of_its_checkpoint_if_its_results_go_there(cfg, tmp_path):
    write_logs(tmp_path / "trained")
    cfg.load_from = str(tmp_path / "trained/epoch_1.pth")
    assert home_of(cfg, tmp_path / "trained/test") == tmp_path / "trained"
    assert home_of(cfg, tmp_path / "elsewhere") is None
    cfg.load_from = str(tmp_path / "downloads/epoch_1.pth")
    assert home_of(cfg, tmp_path / "run/test") == tmp_path / "run"
    assert home_of(cfg, tmp_path / "downloads/test") is None


def test_a_broken_record_is_replaced(cfg, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/run.json").write_text('{"commands": [')
    assert read_record(cfg.work_dir) == {}
    run_record.record_start(cfg, ["x"], kind="train", folder=cfg.work_dir)
    assert len(json.loads((tmp_path / "run/run.json").read_text())["commands"]) == 1


def test_the_command_is_written_as_it_was_typed():
    assert command_line(["a.py", "--resume"], "mmstreet train") == ["mmstreet", "train", "a.py", "--resume"]
    assert command_line(["a.py"], None)[0] == "python"
