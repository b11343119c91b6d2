"""The ``mmstreet`` command: every row of its table leads somewhere, and mistakes get a sentence."""

import io
import logging
import runpy
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from urllib.error import URLError

import pytest

from mmstreet.cli import commands
from mmstreet.cli.commands import COMMANDS, main

ROOT = Path(__file__).parents[2]


def test_help_of_every_command_loads_no_framework():
    code = (
        "import contextlib, io, sys\n"
        "from mmstreet.cli.commands import COMMANDS, main\n"
        "for name in COMMANDS:\n"
        "    out = io.StringIO()\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(out):\n"
        "        main([name, '--help'])\n"
        "    assert out.getvalue().startswith(f'usage: mmstreet {name} '), name\n"
        "    assert not {'torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet', 'matplotlib', 'transformers'} & set(sys.modules), name\n"
        "print(len(COMMANDS))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(COMMANDS)


def test_help_of_what_is_used_most_loads_no_arrays_either():
    code = (
        "import contextlib, io, sys\n"
        "from mmstreet.cli.commands import main\n"
        "for name in ('train', 'test', 'predict', 'demo', 'calibrate', 'inspect'):\n"
        "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):\n"
        "        main([name, '--help'])\n"
        "    print(name, sorted({'numpy', 'cv2', 'PIL'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "train []\ntest []\npredict []\ndemo []\ncalibrate []\ninspect []\n"


def test_a_wrong_option_is_refused_with_its_nearest_before_anything_is_loaded():
    command = [sys.executable, "-X", "importtime", "-m", "mmstreet", "train", "a.py", "--wrok-dir", "x"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.endswith("mmstreet train: error: unrecognized arguments: --wrok-dir x; did you mean --work-dir?\n")
    assert "mmengine" not in done.stderr


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 2
    listed = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == listed
    assert all(f"\n  {name} " in listed for name in COMMANDS)


def test_a_misspelt_command_is_refused_with_its_nearest(capsys):
    assert main(["tran"]) == 2
    assert capsys.readouterr().err == "mmstreet: there is no command 'tran'; did you mean 'train'?\n"
    assert main(["xyz"]) == 2
    assert capsys.readouterr().err == f"mmstreet: there is no command 'xyz'; choose one of {', '.join(COMMANDS)}\n"


def test_the_console_script_is_this_function():
    scripts = {x.value: x.load() for x in metadata.entry_points(group="console_scripts", name="mmstreet")}
    assert list(scripts.values()) == [main], "install the package again, so that pip writes its scripts"


def test_a_missing_framework_is_answered_with_the_install_line():
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet']));\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name in sys.modules and sys.modules[name] is None else find(name, package)\n"
        "from mmstreet.__main__ import main; sys.exit(main(['train', 'a.py']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "mmstreet train: this needs the Python module 'mmengine', which is not installed; run: pip install 'mmstreet[light]'\n"
    )


def test_python_dash_m_runs_the_same_command():
    done = subprocess.run([sys.executable, "-m", "mmstreet", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mmstreet ")


@pytest.mark.parametrize("name", ["train", "test"])
def test_the_tools_are_the_commands(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"tools/{name}.py", "--help"])
    with pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / "tools" / f"{name}.py"), run_name="__main__")
    assert capsys.readouterr().out.startswith(f"usage: mmstreet {name} ")


def fail_with(monkeypatch, error):
    def command(argv, prog):
        raise error

    monkeypatch.setattr("mmstreet.cli.doctor.main", command)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (FileExistsError(17, "File exists", "out"), "'out' would have to be a folder, but there is a file in its way"),
        (OSError(28, "No space left on device", "a.pth"), "disk full: writing 'a.pth' failed"),
        (URLError(OSError("Name or service not known")), "nothing could be downloaded (Name or service not known); fetch the file"),
        (PermissionError(13, "Permission denied", "runs"), "no permission to write or read 'runs'"),
        (KeyError("class 'moon' is not in table 'a'"), "class 'moon' is not in table 'a'"),
        (ImportError("No module named 'mmcv._ext'"), "mmcv has no compiled ops here"),
    ],
)
def test_what_the_user_can_settle_is_one_sentence(monkeypatch, refusal, error, sentence):
    fail_with(monkeypatch, error)
    assert sentence in refusal("doctor")


class FullDisk(io.StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


def test_a_log_file_on_a_full_disk_takes_no_sentence_away(monkeypatch, refusal, tmp_path):
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance("full", log_file=str(tmp_path / "log"))
    (handler,) = (handler for handler in logger.handlers if isinstance(handler, logging.FileHandler))
    handler.setStream(FullDisk()).close()
    fail_with(monkeypatch, OSError(28, "No space left on device", "a.pth"))
    assert "disk full: writing 'a.pth' failed" in refusal("doctor")
    MMLogger._instance_dict.pop("full")


@pytest.mark.parametrize("error", [AttributeError("x"), TypeError("x"), AssertionError("x"), RuntimeError("x"), KeyError("x")])
def test_a_bug_keeps_its_traceback(monkeypatch, error):
    fail_with(monkeypatch, error)
    with pytest.raises(type(error)):
        main(["doctor"])


def test_debugging_shows_the_traceback_of_a_mistake_too(monkeypatch):
    fail_with(monkeypatch, ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        main(["doctor", "--debug"])
    monkeypatch.setenv("MMSTREET_DEBUG", "1")
    with pytest.raises(ValueError, match="x"):
        main(["doctor"])


def test_an_interrupted_command_says_so(monkeypatch, capsys):
    fail_with(monkeypatch, KeyboardInterrupt())
    assert main(["doctor"]) == 130
    assert capsys.readouterr().err == "mmstreet doctor: interrupted\n"


def test_every_command_is_a_module_of_its_name():
    shared = {"__init__", "arguments", "commands", "failures", "on_ray", "outcome", "progress", "run_header", "terminal"}
    modules = {path.stem for path in (ROOT / "mmstreet/cli").glob("*.py")} - shared
    assert modules == {name.replace("-", "_") for name in commands.COMMANDS}
