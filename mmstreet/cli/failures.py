"""Which exceptions are mistakes that the user can correct, and the one sentence for each."""

from __future__ import annotations

import errno
import re
import traceback
from pathlib import Path
from urllib.error import URLError

from mmstreet.cli.terminal import append_to_log
from mmstreet.deps import installed
from mmstreet.engine.errors import TrainingStopped
from mmstreet.engine.installation import explain_import_error

_FRAMEWORKS = ("torch", "mmengine", "mmcv", "mmseg", "mmdet")
_BUILT = re.compile(r"^class `[^`]+` in [^:]+: ")  # upstream's registry puts it before the message of whatever it could not build
_WRONG_ARGUMENT = re.compile(r"(?:unexpected keyword argument|missing \d+ required)")
_REGISTRY = "mmengine/registry/"
_OURS = Path(__file__).parents[1]


def explain(error: BaseException) -> str | None:
    """Say in one sentence what the user has to settle.

    Args:
        error: An exception that ended a command.

    Returns:
        The sentence, or ``None`` for an exception that no input should cause: its traceback has to be seen.
    """
    text = _message(error)
    if isinstance(error, TrainingStopped):
        return text
    if isinstance(error, SyntaxError) or _raised_in(error, "mmengine/config/config.py", "fromfile"):
        return f"the config cannot be read: {type(error).__name__}: {text}"
    if isinstance(error, ImportError):
        return _explain_import(error, text)
    if isinstance(error, OSError):
        return _explain_os(error, text)
    if isinstance(error, KeyError):  # a mapping's own KeyError is a bare key; one with a sentence was written for the user
        return text.partition(". Please check")[0] if " " in text else None
    if isinstance(error, AssertionError):  # of mmcv's loader
        return f"{text}; it is damaged or no image: fetch it again" if text.startswith("failed to load image") else None
    if isinstance(error, TypeError):
        return f"the config cannot be built: {text}" if _is_of_config(error, text) else None
    if text.startswith("Expected more than 1 value per channel"):  # of torch's batch norm
        return "a batch of one image has no batch statistics of its own; give --batch-size 2 or more, or freeze the batch norms"
    if isinstance(error, ValueError):
        return text if _is_ours(error) else f"{type(error).__name__}: {text}; --debug shows where"
    return None


def log_traceback(error: BaseException) -> None:
    """Append the traceback of an exception to the log file of the run, if mmengine has opened one."""
    append_to_log("".join(traceback.format_exception(error)))


def _message(error: BaseException) -> str:
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if "Original Traceback" in text:  # of a process that loads data: its exception is the last line
        text = text.strip().splitlines()[-1].partition(": ")[2]
    return _BUILT.sub("", " ".join(text.split())).strip()


def _explain_import(error: ImportError, text: str) -> str | None:
    missing = (error.name or "").partition(".")[0]
    if missing in _FRAMEWORKS and not installed(missing):
        return f"this needs the Python module '{missing}', which is not installed; run: pip install 'mmstreet[light]'"
    advised = explain_import_error(text)
    return advised if advised != text or _is_ours(error) else None


def _explain_os(error: OSError, text: str) -> str:
    where = "" if error.filename is None else f" '{error.filename}'"
    if (error.strerror or "").startswith("disk full: "):  # of files/atomic, which names the file
        return error.strerror
    if isinstance(error, URLError):
        return f"nothing could be downloaded ({error.reason}); fetch the file elsewhere and give its path, or train with load_from=None"
    if error.errno == errno.ENOSPC:
        return f"disk full: writing{where} failed; make room and run the same command again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write or read{where} ({error.strerror}); choose another folder or change its permissions"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"{where.strip() or 'a path'} would have to be a folder, but there is a file in its way; choose another folder"
    return text if error.errno is None else f"{error.strerror}:{where}"


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    return traceback.extract_tb(error.__traceback__)


def _raised_in(error: BaseException, file: str, function: str) -> bool:
    return any(frame.filename.endswith(file) and frame.name == function for frame in _frames(error))


def _is_of_config(error: TypeError, text: str) -> bool:
    """Whether a registry could not build what a config says: an argument that does not exist or is missing, or no dict at all."""
    files = [frame.filename for frame in _frames(error)]
    return _REGISTRY in files[-1] or (any(_REGISTRY in file for file in files) and bool(_WRONG_ARGUMENT.search(text)))


def _is_ours(error: BaseException) -> bool:
    """Whether our own code raised it, also when mmengine's registry raised it again with another text."""
    chain = [error, error.__cause__, error.__context__]
    raised = [frames[-1].filename for link in chain if link is not None and (frames := _frames(link))]
    raised += re.findall(r'File "([^"]+)"', getattr(error.__cause__, "tb", None) or "")[-1:]  # in a process of ours, whose frames are text
    return any(Path(file).is_relative_to(_OURS) for file in raised) or "DataLoader worker" in str(error)
