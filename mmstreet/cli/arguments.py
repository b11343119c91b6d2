"""The parser of all commands, and the arguments that several of them share."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

SHARES = (
    "Exit code 1 if any file failed. Under torchrun, srun, Ray or in a Slurm array the processes take chunks in turn; what is finished is "
    "skipped, so the same command goes on after a stop."
)
"""What the descriptions of all commands say that work file by file."""


class CommandParser(argparse.ArgumentParser):
    """An argument parser that names the nearest option when one does not exist."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.add_argument("--verbose", action="store_true", help="show all that goes to the log file otherwise")
        self.add_argument("--debug", action="store_true", help="the same, and the traceback of an error")

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and leave with exit code 2."""
        found = re.match(r"unrecognized arguments: (--?[^\s=]+)", message)
        near = difflib.get_close_matches(found[1], self._options(), 1) if found else []
        super().error(f"{message}; did you mean {near[0]}?" if near else message)

    def _options(self) -> list[str]:
        parsers = [self]
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
        return [option for parser in parsers for option in parser._option_string_actions]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG and CHECKPOINT."""
    parser.add_argument("config", help="config file, or a name such as deeplabv3_bdd_v3")
    parser.add_argument("checkpoint", help=".pth file, the folder of a run for its newest one, or a URL")


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``; its value is for :func:`read_cfg_options`."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        type=key_value,
        metavar="KEY=VALUE",
        help="settings that overrule the config's, e.g. optim_wrapper.optimizer.lr=0.01 'model.decode_head.channels=64'",
    )


def add_loading(parser: argparse.ArgumentParser) -> None:
    """Add which data a run reads, and how much of it at a time."""
    parser.add_argument("data_file", nargs="?", metavar="DATA", help="data.yaml of 'mmstreet init', which says what the data is")
    parser.add_argument(
        "--data", metavar="FOLDER", help="folder of the data set, in the place of every data_root of the config; or a data.yaml"
    )
    parser.add_argument("--batch-size", type=int, metavar="N", help="images per process and step")


def add_speed(parser: argparse.ArgumentParser) -> None:
    """Add what makes a run faster and changes its results by rounding only."""
    parser.add_argument("--amp", action="store_true", help="mixed precision: float16 on a GPU, bfloat16 on a CPU that is fast in it")
    parser.add_argument("--channels-last", action="store_true", help="lay out maps with their channels last, often faster with --amp")
    parser.add_argument("--compile", action="store_true", help="compile the backbone: the first steps are slow, the others faster")


def settle_data(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Put a data.yaml among the arguments into ``args.data``, in whatever place it stands after the config."""
    from mmstreet.datasets.data_file import is_data_file

    if is_data_file(getattr(args, "checkpoint", None)):
        args.checkpoint, args.data_file = args.data_file, args.checkpoint
        if args.checkpoint is None:
            parser.error("the following arguments are required: checkpoint")
    if args.data_file is not None:
        if args.data is not None:
            parser.error(f"'{args.data_file}' and --data '{args.data}' both say what the data is; keep one")
        if not is_data_file(args.data_file):
            parser.error(f"'{args.data_file}' is no data.yaml with 'layout', 'splits' and 'classes'; 'mmstreet init FOLDER' writes one")
        args.data = args.data_file


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Add what launchers pass to every process."""
    parser.add_argument(
        "--launcher",
        default="auto",
        help="who starts the processes: auto (default; recognises torchrun), none, pytorch, slurm, mpi, ray",
    )
    parser.add_argument("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)  # older launchers pass it


def add_layout(parser: argparse.ArgumentParser) -> None:
    """Add ``--layout``."""
    from mmstreet.datasets.layouts import LAYOUTS

    parser.add_argument("--layout", choices=sorted(LAYOUTS), help="folder scheme of the data set; default: recognised by its folders")


def add_scene(parser: argparse.ArgumentParser) -> None:
    """Add seed and size of generated scenes."""
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes (default: 0)")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT in pixels (default: 640x360)")


def add_clip(parser: argparse.ArgumentParser) -> None:
    """Add ``--model``, a CLIP."""
    parser.add_argument("--model", default="openai/clip-vit-base-patch16", help="CLIP: hub name or folder (default: %(default)s)")


def add_results(parser: argparse.ArgumentParser, *, verb: str) -> None:
    """Add what every command takes that fills a folder file by file."""
    parser.add_argument("--no-overlays", action="store_true", help="write no overlays, and no video")
    parser.add_argument("--overwrite", action="store_true", help=f"{verb} finished files again, and replace results of other settings")


def read_cfg_options(options: Sequence[str] | None) -> dict | None:
    """Turn the words of ``--cfg-options`` into settings by dotted key, numbers and lists read as mmengine reads them."""
    if not options:
        return None
    from mmengine.config import DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="+", action=DictAction)
    return parser.parse_args(["--options", *options]).options


def key_value(text: str) -> str:
    """Check that a word of the command line is KEY=VALUE; for ``type=``."""
    if not re.match(r"[^=\s]+=", text):
        raise argparse.ArgumentTypeError(f"'{text}' should be KEY=VALUE, with the key before the sign")
    return text


def read_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Turn ``KEY=VALUE`` texts into a dict of texts."""
    return dict(text.split("=", 1) for text in texts)


def folder_of(checkpoint: str) -> Path:
    """The folder in which a checkpoint lies; the working directory for a URL."""
    path = Path(checkpoint)
    return Path(".") if "://" in checkpoint else path if path.is_dir() else path.parent
