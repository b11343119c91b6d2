"""What a command leaves of its output on the terminal; the rest goes to the log file of the run."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any, TextIO

FRAMEWORKS = frozenset(
    {"mmengine", "mmcv", "mmseg", "mmdet", "pycocotools", "faster_coco_eval", "torch", "torchvision", "transformers", "huggingface_hub"}
)
_CARRIERS = ("logging", "mmengine.logging", "warnings", "wandb")
"""Modules that only carry what others say; wandb wraps ``write`` of the standard streams."""
_NO_NEWS = re.compile(
    r"deprecat|is the alias of|will be removed|skip saving parameter schedulers|prefix is not set in metric class"
    r"|backend is not initialized|init_weights of .* more than once",
    re.IGNORECASE,
)
"""Warnings to those who write frameworks, not to those who use them."""


class Terminal:
    """A stand-in for ``sys.stdout`` that passes on what this package and the user's own code say, and of the frameworks only warnings.

    Both ``print`` and a log handler write to ``sys.stdout`` without saying whose text it is, so the stack is asked: the first caller that
    only carries no text of others is the author. Log records come without date and level.

    Args:
        out: Where the rest goes, such as the real ``sys.stdout``.
        hidden: Modules, by the beginning of their names, whose log lines are only for the log file; their warnings are shown.
    """

    def __init__(self, out: TextIO, *, hidden: Sequence[str] = ()) -> None:
        self.out = out
        self.hidden = tuple(hidden)
        self._process = os.getpid()
        self._kept: list[str] = []
        self._begun = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.out, name)

    def write(self, text: str) -> int:
        """Show a text or keep it for the log file."""
        module, record = _author(sys._getframe(1))
        foreign = module.partition(".")[0] in FRAMEWORKS
        if record is None:
            self.keep(text) if foreign else self.show(text)
        elif record.levelno >= logging.WARNING:  # the log file has it from a handler of its own
            if not (foreign and _NO_NEWS.search(record.getMessage())):
                self.show(f"{record.levelname.lower()}: {record.getMessage()}\n")
        elif not foreign and not module.startswith(self.hidden or ("\0",)):
            self.show(f"{record.getMessage()}\n")
        return len(text)

    def show(self, text: str) -> None:
        """Print whole lines, with progress bars out of the way: a bar that comes back would erase half a line."""
        lines, newline, self._begun = (self._begun + text).rpartition("\n")
        if newline:
            self._print(lines + newline)

    def keep(self, text: str) -> None:
        """Put a text into the log file, as soon as there is one."""
        if os.getpid() == self._process:
            self._kept = [*self._kept[-1000:], text]
            self._write_kept()

    def flush(self) -> None:
        """Print a line that was begun, and write what was kept."""
        if self._begun:
            self._print(self._begun)
            self._begun = ""
        self._write_kept()

    def _write_kept(self) -> None:
        if self._kept and append_to_log("".join(self._kept)):
            self._kept = []

    def _print(self, text: str) -> None:
        bars = sys.modules.get("tqdm")
        with bars.tqdm.external_write_mode(file=sys.stderr) if bars else contextlib.nullcontext():
            self.out.write(text)
            self.out.flush()

    def show_warning(self, message: Warning | str, category: type, filename: str, lineno: int, file: object = None, line: object = None):
        """Take the place of ``warnings.showwarning``."""
        text = " ".join(str(message).split())
        if any(f"{os.sep}{name}{os.sep}" in filename for name in FRAMEWORKS):
            self.keep(f"{filename}:{lineno}: {category.__name__}: {text}\n")
        else:
            self.show(f"warning: {text}\n")


@contextlib.contextmanager
def quiet_terminal(*, hidden: Sequence[str] = ()) -> Iterator[Terminal]:
    """Put a :class:`Terminal` in the place of ``sys.stdout``, and let it show warnings."""
    terminal = Terminal(sys.stdout, hidden=hidden)
    with contextlib.redirect_stdout(terminal), warnings.catch_warnings():
        warnings.showwarning = terminal.show_warning
        try:
            yield terminal
        finally:
            terminal.flush()


def append_to_log(text: str) -> bool:
    """Append a text to the log files that mmengine has opened, and tell whether there is one."""
    written = False
    logging_module = sys.modules.get("mmengine.logging")
    for logger in logging_module.MMLogger._instance_dict.values() if logging_module else ():
        for handler in (handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)):
            with contextlib.suppress(OSError, ValueError):  # a full disk is what the sentence says, a closed log is no news
                handler.stream.write(text)
                handler.flush()
                written = True
    return written


def _author(frame: FrameType | None) -> tuple[str, logging.LogRecord | None]:
    """Name the module that a text comes from, and the log record that it is from, if it is from one."""
    record = None
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if not module.startswith(_CARRIERS):
            return module, record
        if frame.f_code.co_name == "emit":
            record = frame.f_locals.get("record")
        frame = frame.f_back
    return "", record
