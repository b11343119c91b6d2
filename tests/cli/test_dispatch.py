"""The ``mmstreet`` command: every row of its table leads somewhere, and mistakes get a sentence."""

import subprocess
import sys
from importlib import metadata

import pytest

from mmstreet.__main__ import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_under_its_own_name(name, capsys):
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: mmstreet {name} ")


def test_without_a_command_all_are_listed(capsys):
    assert main([]) == 2
    listed = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == listed
    assert all(f"  {name} " in listed for name in COMMANDS)


def test_an_unknown_command_is_named_with_the_known_ones(capsys):
    assert main(["fly"]) == 2
    assert capsys.readouterr().err == f"mmstreet: there is no command 'fly'; choose one of {', '.join(COMMANDS)}\n"


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
    assert (
        done.stderr == "mmstreet: 'train' needs the Python module 'mmengine', which is not installed; run: pip install 'mmstreet[onedl]'\n"
    )


def test_python_dash_m_runs_the_same_command():
    done = subprocess.run([sys.executable, "-m", "mmstreet", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("mmstreet ")
