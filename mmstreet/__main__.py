"""``mmstreet COMMAND ...``, the same as ``python -m mmstreet COMMAND ...``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from mmstreet import __version__
from mmstreet.deps import installed

COMMANDS = {
    "predict": "label maps, overlays and class shares for an image, a folder, a pattern or a video",
    "train": "train a config",
    "test": "test a checkpoint: scores, tables, pictures",
    "verify": "check every file of a data set and count its pixels",
    "doctor": "check this installation",
    "report": "one HTML page per run, or several runs side by side",
    "refine": "refine a folder of saved predictions",
    "export": "write a model as ONNX or TorchScript, checked against PyTorch",
}
"""The commands; each lives in the module of its name in ``mmstreet/cli/`` as ``main(argv, prog) -> exit code``."""

_FRAMEWORKS = ("torch", "mmengine", "mmcv", "mmseg", "mmdet")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    argv = sys.argv[1:] if argv is None else list(argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # file names may hold bytes that are not UTF-8, and print would raise
            stream.reconfigure(errors="backslashreplace")
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0 if argv else 2
    if argv[0] in ("-V", "--version"):
        print(f"mmstreet {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        print(f"mmstreet: there is no command '{argv[0]}'; choose one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    try:
        command = importlib.import_module(f"mmstreet.cli.{argv[0]}")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _FRAMEWORKS or installed(missing):
            raise
        print(
            f"mmstreet: '{argv[0]}' needs the Python module '{missing}', which is not installed; run: pip install 'mmstreet[onedl]'",
            file=sys.stderr,
        )
        return 1
    return command.main(argv[1:], prog=f"mmstreet {argv[0]}")


def _usage() -> str:
    rows = "\n".join(f"  {name:<8} {what}" for name, what in COMMANDS.items())
    return f"usage: mmstreet COMMAND ...\n\n{rows}\n\n'mmstreet COMMAND --help' lists the options of a command."


if __name__ == "__main__":
    sys.exit(main())
