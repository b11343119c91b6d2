"""The terminal of a command: our own words and warnings, while what the frameworks say goes to the log file."""

import io
import logging
import re
import sys
import types
import warnings
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log

from mmstreet.cli.progress import format_scores
from mmstreet.cli.terminal import quiet_terminal
from tests.helpers.tiny_segmentation import tiny_segmentation, write_dataset

SAYS = """
def say(text): print(text)
def say_by_log(text): print_log(text)
def log(text, level): print_log(text, 'current', level)
def warn(text): warnings.warn(text)
"""


@pytest.fixture
def module():
    """Make a module of a name, with functions that print, log and warn."""

    def make(name):
        made = types.ModuleType(name)
        made.print_log, made.warnings = print_log, warnings
        code = (
            "def say(text): print(text)\ndef say_by_log(text): print_log(text)\ndef log(text, level): print_log(text, 'current', level)\n"
        )
        exec(
            compile(code + "def warn(text): warnings.warn(text)\n", f"/site-packages/{name.replace('.', '/')}/x.py", "exec"), made.__dict__
        )
        return made

    return make


@pytest.fixture
def log(tmp_path):
    """A log file that mmengine opens."""
    path = tmp_path / "run.log"
    return path, lambda: MMLogger.get_instance("quiet", log_file=str(path))


def test_prints_of_frameworks_go_to_the_log_file_and_those_of_others_are_shown(module, log, capsys):
    path, begin = log
    with quiet_terminal():
        module("mmseg.datasets").say("could not import something")  # before there is a log file
        begin()
        module("mmengine.runner").say_by_log("loads by local backend")
        module("my_project.model").say("shape 3x4")
        module("my_project.model").say_by_log("shape 5x6")
        print("unfinished", end="", flush=True)
        print(", finished")
    assert capsys.readouterr().out == "shape 3x4\nshape 5x6\nunfinished, finished\n"
    assert path.read_text() == "could not import something\nloads by local backend\n"


def test_of_the_frameworks_only_warnings_are_logged_to_the_terminal(module, log, capsys):
    path, begin = log
    framework, own, theirs = module("mmengine.hooks"), module("mmstreet.metrics.semantic"), module("my_project.hooks")
    with quiet_terminal(hidden=("mmstreet.metrics",)):
        begin()
        framework.log("Epoch 1 lr 0.1", logging.INFO)
        framework.log("keys do not match", logging.WARNING)
        framework.log("FileClient will be deprecated in future", logging.WARNING)
        own.log("a long table", logging.INFO)
        own.log("weights are cut", logging.WARNING)
        theirs.log("my value is 3", logging.INFO)
    assert capsys.readouterr().out == "warning: keys do not match\nwarning: weights are cut\nmy value is 3\n"
    logged = path.read_text()
    assert all(text in logged for text in ("Epoch 1 lr 0.1", "keys do not match", "FileClient", "a long table", "my value is 3"))


def test_warnings_of_others_are_one_line_and_those_of_frameworks_are_in_the_log(module, log, capsys):
    path, begin = log
    with quiet_terminal():
        warnings.simplefilter("always")
        begin()
        module("mmcv.cnn").warn("no deformable attention")
        module("my_project.data").warn("two\nlines")
    assert capsys.readouterr().out == "warning: two lines\n"
    assert "mmcv/cnn/x.py:4: UserWarning: no deformable attention" in path.read_text()


def test_a_line_stays_when_a_bar_is_drawn_after_it(capsys):
    from tqdm import tqdm

    drawn = io.StringIO()
    with quiet_terminal() as terminal, tqdm(total=2, file=drawn, desc="bar"):
        terminal.out = drawn
        print("half", end="")
        assert "half" not in drawn.getvalue()  # the bar that comes back would be drawn over it
        print(" a line")
    assert "half a line\n" in drawn.getvalue()


class Teletype(io.StringIO):
    """An interactive stream."""

    def isatty(self):
        return True


@pytest.fixture
def config(tmp_path):
    """A config over eight images, with a metric of ours."""
    root = write_dataset(tmp_path / "data", count=8)
    write_dataset(root, split="val", count=3)
    cfg = tiny_segmentation(root, tmp_path / "run")
    cfg.val_evaluator = dict(type="mmstreet.StreetIoUMetric")
    cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg = cfg.val_dataloader, cfg.val_evaluator, dict(type="TestLoop")
    cfg.dump(tmp_path / "tiny.py")
    return tmp_path / "tiny.py"


def test_a_training_is_a_header_a_table_per_validation_and_the_page(config, run, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stderr", Teletype())
    run("train", config)
    lines, bar = capsys.readouterr().out.splitlines(), sys.stderr.getvalue()
    assert lines[0] == "tiny"
    assert lines[1].split() == f"data {tmp_path}/data: 8 images to train on, 3 to validate".split()
    assert lines[2].split() == ["classes", "3:", "road,", "car,", "person"]
    assert lines[4].split() == ["length", "2", "epochs", "of", "4", "iterations,", "batches", "of", "2;", "AdamW,", "lr", "0.02"]
    log = Path(lines[5].rpartition(" ")[2])
    assert lines[5].split()[:2] == ["folder", "run;"]
    assert [line for line in lines if line.startswith("validation after")] == [f"validation after epoch {i} of 2" for i in (1, 2)]
    assert sum(line.strip().startswith("IoU: road ") for line in lines) == 2
    assert lines[-2].startswith("trained in 00:")
    assert lines[-1] == f"page of the run: {tmp_path}/run/report.html"
    assert len(lines) == 6 + 2 * 3 + 2
    assert all(text in log.read_text() for text in ("System environment:", "Config:\n", "preflight: 2 heads", "Epoch(val)"))
    assert "training 100% |" in bar
    assert "| 8/8, epoch 2 of 2, loss " in bar
    assert "left" in bar


def test_without_a_terminal_there_is_no_bar_and_verbose_shows_all(config, run, capsys, tmp_path):
    run("train", config)
    quiet = capsys.readouterr()
    assert "training" not in quiet.err
    assert len(quiet.out.splitlines()) < 20
    MMLogger._instance_dict.clear()  # two runs of one name in one second would share a logger
    run("train", config, "--verbose", "--work-dir", tmp_path / "again")
    assert "System environment:" in capsys.readouterr().out


def test_a_test_prints_the_whole_table(config, run, capsys, tmp_path):
    run("train", config)
    capsys.readouterr()
    MMLogger._instance_dict.clear()
    run("test", config, tmp_path / "run")
    out = capsys.readouterr().out
    assert re.search(r"class +IoU   95 % interval", out)
    assert "System environment:" not in out
    cfg = Config.fromfile(config)
    cfg.test_evaluator = dict(type="IoUMetric", iou_metrics=["mIoU"])
    cfg.dump(config)
    MMLogger._instance_dict.clear()
    run("test", config, tmp_path / "run")
    assert "aAcc " in capsys.readouterr().out  # of a metric that is not ours, the scalars


def test_scores_by_class_are_columns_and_other_prefixes_lines():
    scores = {"mIoU": 50.0, "IoU/road": 90.04, "IoU/traffic light": 10.0, "Acc/road": 95.0, "scene/mIoU": 40.0, "coco/AP": 3.0, "time": 0.1}
    assert list(format_scores(scores, width=60)) == [
        "mIoU 50.00",
        "IoU: road 90.0           traffic light 10.0",
        "scene: mIoU 40.00",
        "coco: AP 3.00",
    ]
    assert list(format_scores({"IoU/road": 90.0, "IoU/car": 1.0}, width=16)) == ["IoU: road 90.0", "     car 1.0"]
    assert list(format_scores({})) == []
