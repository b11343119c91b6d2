"""A command in several processes that were forked from this one: it runs as it would elsewhere, and no framework is imported again."""

import contextlib
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from mmstreet.cli.commands import main
from tests.helpers.earlier_runs import forget_runs


def run_in_two_processes(*words: str) -> None:
    """Run a command that has to succeed in two processes that know of each other as torchrun tells them."""
    run_side_by_side(words, places(2))


def places(count: int) -> list[dict[str, str]]:
    """What torchrun tells each of so many processes through its environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    size = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    return [meeting | size | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]


def run_side_by_side(words: Sequence[str], environments: Sequence[Mapping[str, str]], folder: Path | None = None) -> list[str]:
    """Run a command that has to succeed once in each environment at the same time; with a folder, return what each printed."""
    torch.multiprocessing.start_processes(_run, (words, environments, folder), nprocs=len(environments), start_method="fork")
    return [(folder / f"{i}.txt").read_text() for i in range(len(environments))] if folder else []


def _run(number: int, words: Sequence[str], environments: Sequence[Mapping[str, str]], folder: Path | None) -> None:
    os.environ.update(environments[number])
    forget_runs()
    with open(folder / f"{number}.txt" if folder else os.devnull, "w") as out, contextlib.redirect_stdout(out):
        assert main(list(words)) == 0
