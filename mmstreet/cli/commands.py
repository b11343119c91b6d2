"""The table of commands, and the one way into all of them."""

from __future__ import annotations

import contextlib
import difflib
import importlib
import os
import sys
from collections.abc import Sequence

from mmstreet import __version__
from mmstreet.cli.failures import explain, log_traceback
from mmstreet.cli.terminal import quiet_terminal

GROUPS = {
    "First look": {
        "demo": "what the model of the package sees, and how it learns other streets in two minutes",
    },
    "Train and test": {
        "train": "train a config, on one process or several",
        "test": "test a checkpoint: scores, tables, pictures",
        "calibrate": "fit the temperature that makes a model's confidence mean something",
        "config": "list the configs, print one as it is resolved, or its difference to another",
        "report": "one HTML page per run, or several runs side by side",
    },
    "Use a model": {
        "predict": "label maps, overlays and class shares for an image, a folder, a pattern or a video",
        "refine": "refine a folder of saved predictions",
        "export": "write a model as ONNX or TorchScript, checked against PyTorch",
        "push": "write a model as one folder with its card, and upload it to the Hugging Face hub",
        "hub-weights": "write a published model of transformers as a checkpoint, for test and export",
        "torchvision-weights": "write torchvision's published weights as a checkpoint for the configs",
    },
    "Data": {
        "init": "look at a data set and describe it in one data.yaml, which the other commands read",
        "verify": "check every file of a data set and count its pixels",
        "split": "write list files that split a data set into training and validation",
        "convert": "convert labels from any format to any other",
        "inspect": "what an instance segmentor gets: pictures and numbers",
        "mini": "write the mini set: generated street scenes with all labels",
        "mini-video": "write a generated drive as a video",
    },
    "Image-level labels": {
        "image-labels": "which classes each image shows: from masks, from published arrays, or described",
        "text-embeddings": "write the CLIP text embeddings of a class table",
        "pseudo-masks": "write pseudo-masks by CLIP, as files or as a picture",
        "carb-curves": "plot the regions of a CARB training: losses, areas, balance",
    },
    "Installation": {
        "doctor": "check this installation",
    },
}
"""Commands by group; each is the module of its name in ``mmstreet/cli/`` with ``main(argv, prog) -> exit code``."""

_HIDDEN = {"train": ("mmstreet.metrics", "mmstreet.safety", "mmstreet.engine.hooks.preflight")}
"""Modules whose log lines stay in the log file: a training prints short tables instead."""

COMMANDS = {name: what for group in GROUPS.values() for name, what in group.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    What the frameworks print goes to the log file of the run, see :mod:`mmstreet.cli.terminal`, unless ``--verbose`` is given.

    A mistake of the user ends in one sentence on stderr. Its traceback is shown with ``--debug`` or ``MMSTREET_DEBUG=1``, and kept in the
    log file of the run where there is one. Any other exception is a bug of the program and is passed on.

    Args:
        argv: The command and its arguments; default: those of the process.

    Returns:
        The exit code: 0, 1 after a failure, 2 for a command that does not exist, 130 when interrupted.
    """
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
        near = difflib.get_close_matches(argv[0], COMMANDS, 1)
        advice = f"did you mean '{near[0]}'?" if near else f"choose one of {', '.join(COMMANDS)}"
        print(f"mmstreet: there is no command '{argv[0]}'; {advice}", file=sys.stderr)
        return 2
    prog = f"mmstreet {argv[0]}"
    hidden = _HIDDEN.get(argv[0], ())
    try:
        if "ray" in argv or "--launcher=ray" in argv:
            from mmstreet.cli.on_ray import asks_for_ray, run_on_ray

            if asks_for_ray(argv):
                return run_on_ray(argv[0], argv[1:], prog)
        with contextlib.nullcontext() if {"--verbose", "--debug"} & set(argv) else quiet_terminal(hidden=hidden):
            return importlib.import_module(f"mmstreet.cli.{argv[0].replace('-', '_')}").main(argv[1:], prog)
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        sentence = explain(error)
        if sentence is None or "--debug" in argv or os.environ.get("MMSTREET_DEBUG", "0") != "0":
            raise
        log_traceback(error)
        print(f"{prog}: {sentence}", file=sys.stderr)
        return 1


def _usage() -> str:
    width = max(map(len, COMMANDS))
    groups = [f"{title}\n" + "\n".join(f"  {name:<{width}}  {what}" for name, what in group.items()) for title, group in GROUPS.items()]
    return "\n\n".join(["usage: mmstreet COMMAND ...", *groups, "'mmstreet COMMAND --help' lists the options of a command."])
