"""``run.json``: how a run was started, from which config, and on which machine; for the page of the run."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import platform
import shlex
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size, is_main_process

from mmstreet import __version__
from mmstreet.engine.config_base import base_of, question_of
from mmstreet.engine.installation import FAMILIES
from mmstreet.files.atomic import write_json
from mmstreet.files.config_text import compare_configs

NAME = "run.json"
_MODULES = ("mmengine", "mmcv", "mmseg", "mmdet", "numpy", "transformers")


@contextlib.contextmanager
def recorded(cfg: Config, command: Sequence[str], *, kind: str, folder: str | Path | None) -> Iterator[None]:
    """Note a run in ``run.json`` of its folder, its start and, when it has come to it, its end. Only the main process writes.

    Args:
        cfg: The config as it will run.
        command: The command line, program first.
        kind: ``'train'`` or ``'test'``.
        folder: The folder of the run; ``None`` notes nothing.
    """
    # The group of processes may not be joined yet, and then every process would take itself for the main one.
    if folder is None or not is_main_process() or os.environ.get("RANK", "0") != "0":
        yield
        return
    record_start(cfg, command, kind=kind, folder=folder)
    yield
    record_end(folder)


def home_of(cfg: Config, out: str | Path) -> Path | None:
    """Find the run that a test belongs to: the folder of its checkpoint, if a training left its logs there, else the work dir.

    Args:
        cfg: The config of the test.
        out: Folder for the results.

    Returns:
        The folder; ``None`` where the results go elsewhere.
    """
    checkpoint = cfg.get("load_from")
    beside = Path(checkpoint).parent if checkpoint and "://" not in checkpoint else None
    trained = beside is not None and any(path.stat().st_size for path in beside.glob("*/vis_data/scalars.json"))
    home = beside if trained else Path(cfg.work_dir)
    return home if Path(out).resolve().is_relative_to(home.resolve()) else None


def record_start(cfg: Config, command: Sequence[str], *, kind: str, folder: str | Path) -> Path:
    """Note the command, the config and the machine in ``run.json``, after what is there already.

    Args:
        cfg: The config as it will run.
        command: The command line, program first.
        kind: ``'train'`` or ``'test'``. The config that is kept is that of the last training, or of a test where nothing was trained.
        folder: The folder of the run.

    Returns:
        The file.
    """
    path = Path(folder) / NAME
    record = read_record(folder)
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    entry = {"kind": kind, "command": shlex.join(command), "started": started, "ended": None}
    record["commands"] = [*record.get("commands", []), entry]
    if kind == "train" or "config" not in record:
        record["config"] = describe_config(cfg)
        record["environment"] = describe_machine()
    return write_json(record, path)


def record_end(work_dir: str | Path) -> None:
    """Note that the last command of the work dir came to its end."""
    record = read_record(work_dir)
    if record.get("commands"):
        record["commands"][-1]["ended"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        write_json(record, Path(work_dir) / NAME)


def read_record(work_dir: str | Path) -> dict:
    """Return what is noted so far; empty without a readable file."""
    try:
        record = json.loads((Path(work_dir) / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def describe_config(cfg: Config) -> dict:
    """Say which file a config is, the question that it answers (its docstring), and what it changes against its base.

    The base is that of :func:`~mmstreet.engine.config_base.base_of`.

    Args:
        cfg: A config; settings of the command line show as changes.

    Returns:
        ``file``, ``question``, ``base`` (``None`` without one), ``changes``, and ``problem`` if the base cannot be read by itself.
    """
    found = {"file": cfg.filename, "question": None, "base": None, "changes": []}
    if not cfg.filename or not Path(cfg.filename).is_file() or Path(cfg.filename).suffix != ".py":
        return found
    found["question"] = question_of(cfg.filename)
    try:
        if base := base_of(cfg.filename):
            found["base"], before = base
            found["changes"] = [[change.key, change.before, change.after] for change in compare_configs(before.to_dict(), cfg.to_dict())]
    except (OSError, ValueError, KeyError, SyntaxError, ImportError) as error:
        found["problem"] = f"{type(error).__name__}: {error}"  # a base that cannot be compared is no reason to stop a run
    return found


def describe_machine() -> dict[str, str]:
    """Versions of what is installed, and the machine, as texts."""
    versions = {"mmstreet": __version__, "Python": platform.python_version(), "torch": torch.__version__}
    versions |= {module: found for module in _MODULES if (found := ", ".join(_distributions(module)))}
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return versions | {
        "system": platform.platform(terse=True),
        "processor": f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
        "GPU": ", ".join(gpus) or "none",
        "processes": str(get_world_size()),
    }


def command_line(argv: Sequence[str] | None, prog: str | None) -> list[str]:
    """The command as typed: ``mmstreet train …``; ``argv`` and ``prog`` as the main functions get them."""
    program = prog.split() if prog else ["python", sys.argv[0]]
    return [*program, *(sys.argv[1:] if argv is None else argv)]


def _distributions(module: str) -> Iterator[str]:
    """Versions and names of what brings a module; to ask each installed distribution for its files takes thirty times as long."""
    for name in FAMILIES.get(module, (module,)):
        with contextlib.suppress(metadata.PackageNotFoundError):
            yield f"{metadata.version(name)} ({name})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
