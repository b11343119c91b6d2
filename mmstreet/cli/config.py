"""``mmstreet config``: the configs that there are, one of them as it is resolved, or its difference to another."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mmstreet.cli.arguments import CommandParser, add_cfg_options, read_cfg_options
from mmstreet.files.config_files import find_config, shipped_folder, shipped_names
from mmstreet.files.config_text import Change, compare_configs

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Print a config as it is resolved; without a name, list the configs.")
    parser.add_argument("config", nargs="?", help="config file, or a name such as deeplabv3_bdd_v3")
    parser.add_argument(
        "--diff",
        nargs="?",
        const="",
        metavar="OTHER",
        help="print what changes from OTHER to this config instead; without OTHER, from the config that it is a variant of, or inherits",
    )
    parser.add_argument("--path", action="store_true", help="print where the file lies instead, for the _base_ of a config of your own")
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.config is None and (args.diff is not None or args.path or args.cfg_options):
        parser.error("give a config by file or name; without one there is nothing to compare, find or change")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmstreet.engine.launch import read_config

    if args.config is None:
        print(_list_configs())
    elif args.path:
        print(find_config(args.config).resolve())
    else:
        cfg = read_config(args.config, read_cfg_options(args.cfg_options))
        print(cfg.pretty_text if args.diff is None else _difference(cfg, args.diff))
    return 0


def _list_configs() -> str:
    from mmstreet.engine.config_base import question_of

    folder = shipped_folder()
    rows = [(name, folder / f"{name}.py") for name in shipped_names()]
    rows += [(f"refine/{name}", folder / "refine" / f"{name}.py") for name in shipped_names(refiners=True)]
    return "\n".join(f"{name}\n    {question_of(path)}" for name, path in rows)


def _difference(cfg: Config, other: str) -> str:
    from mmstreet.engine.config_base import base_of
    from mmstreet.engine.launch import read_config

    before = (other, read_config(other)) if other else base_of(cfg.filename)
    if before is None:
        raise ValueError(f"'{cfg.filename}' inherits nothing; say what to compare it with: --diff OTHER")
    changes = compare_configs(before[1].to_dict(), cfg.to_dict())
    return "\n".join((f"changes against {before[0]}:" if changes else f"no change against {before[0]}", *map(_write_change, changes)))


def _write_change(change: Change) -> str:
    sides = [(mark, text) for mark, text in (("-", change.before), ("+", change.after)) if text is not None]
    return "\n".join((change.key, *(f"  {mark} {line}" for mark, text in sides for line in text.split("\n"))))
