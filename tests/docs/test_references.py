"""What the documents name is there: commands with their options, configs, files, links, types and targets of make."""

import contextlib
import functools
import io
import re
from collections.abc import Iterator
from pathlib import Path

from mmstreet.cli.commands import COMMANDS, main
from mmstreet.files.config_files import find_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS_FILES = ("configs/fcn/", "configs/mask_rcnn/", "mmstreet/.mim/")  # of the frameworks, and of an installed wheel
CONFIG = r"(?:deeplabv3|fcn|pixelnet|mask_rcnn|carb)_(?:bdd|camvid|mini|cityscapes|wilddash2|r101)\w*"


def in_code(pattern: str) -> Iterator[tuple[str, re.Match]]:
    """Search the code of every page, in blocks and in lines; a command that a backslash continues is one line."""
    for path in PAGES:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for block, line in re.findall(r"^```.*?\n(.*?)^```|`([^`\n]+)`", text, re.DOTALL | re.MULTILINE):
            yield from ((path.name, match) for match in re.finditer(pattern, block or line, re.MULTILINE))


@functools.cache
def usage(*words: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return out.getvalue()


def test_commands_and_their_options_exist():
    offenders = []
    for page, match in in_code(r"(?:^|-m )mmstreet ([a-z][a-z-]*)(?: ([^\n#]*))?"):
        words = match[1], *re.findall(r"^[a-z]+", match[2] or "" if match[1] in ("image-labels", "pseudo-masks") else "")
        options = re.findall(r"(?<!\S)\[?(--?[a-z][a-z-]*)", match[2] or "")
        known = usage(*words) if match[1] in COMMANDS else ""
        offenders += [(page, match[0])] if not known or any(option not in known for option in options) else []
    assert not offenders


def test_configs_exist():
    missing = []
    for page, match in in_code(rf"(?:^|[\s\"'/])({CONFIG})(?:\.py)?(?=[\s\"']|$)"):
        try:
            find_config(match[1])
        except FileNotFoundError:
            missing.append((page, match[1]))
    assert not missing


def test_files_and_links_exist():
    named = [
        (page, match[1])
        for page, match in in_code(r"(?:^|[\s\"'])((?:mmstreet|tests|configs|benchmarks|docs|tools|constraints)/[\w./]*\w)")
    ]
    missing = [(page, name) for page, name in named if not (ROOT / name).exists() and not name.startswith(OTHERS_FILES)]
    for path in PAGES:
        links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        missing += [(path.name, link) for link in links if not link.startswith("http") and not (path.parent / link).exists()]
    assert not missing


def test_types_and_targets_of_make_exist():
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "mmstreet").rglob("*.py"))
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    missing = [(page, m[1]) for page, m in in_code(r"mmstreet\.([A-Z]\w+)") if not re.search(rf"^class {m[1]}\b", source, re.MULTILINE)]
    missing += [
        (page, m[1])
        for page, m in in_code(r"^make ([a-z][a-z-]*)")
        if not re.search(rf"^(?:[\w-]+ )*{m[1]}(?: [\w-]+)*:", targets, re.MULTILINE)
    ]
    assert not missing
