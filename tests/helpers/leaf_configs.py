"""The leaf configs of the repository: where they are, what they inherit, and what they resolve to."""

import copy
import functools
import re
from pathlib import Path

from mmengine.config import Config

from mmstreet.deps import installed
from tests.helpers.config_binding import bases_of

CONFIGS = Path(__file__).parents[2] / "configs"
REFINERS = sorted(path.stem for path in (CONFIGS / "refine").glob("*.py"))


@functools.cache
def _read(path: Path) -> Config:
    return Config.fromfile(path)


def load(name: str) -> Config:
    """A resolved config, for the test to change."""
    return copy.deepcopy(_read(CONFIGS / f"{name}.py"))


def chains(path: Path) -> list[list[Path]]:
    """Every way from a config up to a file of this repository that inherits nothing more from it."""
    own = [base for base in bases_of(path) if "::" not in str(base)]
    return [[path, *chain] for base in own for chain in chains(base)] or [[path]]


def _family(name: str) -> str:
    path = CONFIGS / f"{name}.py"
    if needs_mmdet(path):
        return "instances"
    if any(file.name == "bdd100k_zoo.py" for chain in chains(path) for file in chain):
        return "zoo"
    return "carb" if _read(path).model.type == "mmstreet.CARBSegmentor" else "semantic"


def needs_mmdet(path: Path) -> bool:
    """Whether a config, or one that it inherits, is one of MMDetection."""
    return any(re.search(r"['\"]mmdet(?:::|['\"])", file.read_text()) for chain in chains(path) for file in chain)


LEAVES = sorted(path.stem for path in CONFIGS.glob("*.py"))
_FAMILIES = ("instances", "carb", "zoo", "semantic")
INSTANCES, CARB, ZOO, SEMANTIC = ([name for name in LEAVES if _family(name) == kind] for kind in _FAMILIES)
READABLE = LEAVES if installed("mmdet") else [name for name in LEAVES if name not in INSTANCES]
SMALL = [name for name in SEMANTIC if name.split("_")[1:2] in (["mini"], ["camvid"])]
