"""A Python that has imported the frameworks, and nothing of this package, and forks itself for each program.

A program finds what a new interpreter would give it, in a tenth of the time: its words, folder, environment and ``PYTHONPATH``, output of
its own, and the functions that are called at its end. Run as a script, this file is that Python.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
import threading
import traceback
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

FRAMEWORKS = ("mmseg.apis", "mmdet.apis")


class WarmPython:
    """Starts programs in forks of one interpreter.

    Args:
        modules: What it imports beforehand; those that are not installed are left out.
        executable: The interpreter.
    """

    def __init__(self, modules: Sequence[str] = FRAMEWORKS, *, executable: str | Path = sys.executable) -> None:
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self._server = subprocess.Popen([executable, __file__, *modules], text=True, env=plain, **pipes)

    def run(self, *words: object, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess:
        """Run a program: ``"-m", module, …``, ``"-c", code, …`` or ``script, …``, as Python itself is told."""
        return self.run_together(words, [os.environ if env is None else env], cwd=cwd)[0]

    def run_together(self, words: Sequence, environments: Sequence[Mapping], *, cwd: Path) -> list[subprocess.CompletedProcess]:
        """Run a program once in each environment, side by side."""
        words = [str(word) for word in words]
        job = {"words": words, "environments": [dict(env) for env in environments], "cwd": str(cwd)}
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        assert answer, "the warm Python has ended"
        return [subprocess.CompletedProcess(words, *found) for found in json.loads(answer)]

    def close(self) -> None:
        """End it."""
        self._server.kill()  # it has nothing to finish
        self._server.communicate()


def _serve(modules: Sequence[str]) -> None:
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what an import prints is no answer
    del sys.path[0]  # the folder of this file
    for name in modules:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()  # what is here stays, and no child looks through it
    for line in requests:
        job = json.loads(line)
        started = []
        for env in job["environments"]:
            outputs = [tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") for _ in range(2)]  # noqa: SIM115 - closed when read
            child = os.fork()
            if not child:
                _end(_become(job["words"], job["cwd"], env, outputs))
            started.append((child, outputs))
        found = [(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *map(_read, outputs)) for child, outputs in started]
        answers.write(json.dumps(found) + "\n")
        answers.flush()


def _become(words: Sequence[str], cwd: str, env: Mapping[str, str], outputs: Sequence[IO]) -> int:
    """Be the program; return its exit code."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for stream, output in enumerate(outputs, 1):
        os.dup2(output.fileno(), stream)
    kind, *rest = words
    sys.path[:0] = [cwd if kind in ("-m", "-c") else str(Path(kind).parent), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = rest if kind in ("-m", "-c") else list(words)
    try:
        if kind == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        elif kind == "-c":
            sys.modules["__main__"] = main = types.ModuleType("__main__")
            sys.argv = ["-c", *rest[1:]]
            exec(rest[0], main.__dict__)
        else:
            runpy.run_path(kind, run_name="__main__")
    except SystemExit as error:
        if not isinstance(error.code, int | None):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _end(code: int) -> None:
    """End as an interpreter does, but without taking every module of the frameworks apart, which lasts two seconds."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _read(output: IO) -> str:
    with output:
        output.seek(0)
        return output.read()


if __name__ == "__main__":
    _serve(sys.argv[1:])
