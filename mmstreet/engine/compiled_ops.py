"""mmcv's compiled operators: whether they are here, what needs them, and where a compiled mmcv that fits can be had."""

from __future__ import annotations

import importlib.util
import re
import sys
import urllib.request
from collections.abc import Iterator

from mmstreet.deps import installed
from mmstreet.engine.errors import LaunchError

NO_OPS = (
    "mmcv has no compiled ops here (mmcv-lite, or mmcv built before torch was there): semantic segmentation works without them, instance "
    "segmentation needs them; in a checkout run: make instances; elsewhere: pip uninstall -y mmcv-lite onedl-mmcv, then pip install "
    "--no-build-isolation --no-cache-dir onedl-mmcv==2.3.6 (a C++ compiler and 15 to 30 minutes)"
)
INSTANCES_NEED = (
    "'{config}' is for instance segmentation, which needs MMDetection and mmcv's compiled ops, and here {missing} missing; in a checkout "
    "run: make instances; elsewhere, and for a ready-made mmcv that fits: mmstreet doctor"
)
_NEED_OPS = frozenset({"PointHead", "CCHead", "PSAHead", "DCN", "DCNv2", "MultiScaleDeformableAttention", "MSDeformAttnPixelDecoder"})
"""Types of MMSegmentation and mmcv that do not work without compiled ops."""
INDEX = "https://mmwheels.onedl.ai"
_TIMEOUT_S = 5


def has_ops() -> bool:
    """Tell whether mmcv brings its compiled ops, without importing them."""
    return installed("mmcv") and importlib.util.find_spec("mmcv._ext") is not None


def explain_instances(config: object) -> str | None:
    """Say what instance segmentation lacks here.

    Args:
        config: The config that needs it, for the sentence.

    Returns:
        The sentence; ``None`` where nothing is missing.
    """
    missing = ["mmdet"] * (not installed("mmdet")) + ["mmcv's ops"] * (not has_ops())
    if not missing:
        return None
    return INSTANCES_NEED.format(config=config, missing=f"{' and '.join(missing)} {'is' if missing == ['mmdet'] else 'are'}")


def check_ops(cfg: dict, config: object) -> None:
    """Refuse a config whose model needs compiled ops where there are none, before anything is built.

    Args:
        cfg: The config.
        config: What to call it.

    Raises:
        LaunchError: If it is one of MMDetection and that or the ops are missing, or if a part of its model needs the ops.
    """
    if cfg.get("default_scope") == "mmdet" and (said := explain_instances(config)):
        raise LaunchError(said)
    if not has_ops() and (found := next((kind for kind in _types(cfg.get("model")) if kind in _NEED_OPS), None)):
        raise LaunchError(f"the model of '{config}' has a {found}, which needs mmcv's compiled ops: {NO_OPS}")


def find_prebuilt(*, index: str = INDEX) -> str:
    """Look for a compiled mmcv that fits this Python, torch and CUDA in the index of the forks' wheels.

    Args:
        index: Address of the index: a folder for each CUDA and torch version.

    Returns:
        The command that installs it; or, in one sentence, that there is none or that the index does not answer.
    """
    import torch

    major, minor = re.match(r"(\d+)\.(\d+)", torch.__version__).groups()
    build = f"cu{torch.version.cuda.replace('.', '')}" if torch.version.cuda else "cpu"
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    place, here = f"{index}/{build}-torch{major}{minor}0/simple/onedl-mmcv/", f"{python}, torch {major}.{minor}, {build}"
    try:
        with urllib.request.urlopen(place, timeout=_TIMEOUT_S) as answer:
            page = answer.read(2**22).decode("utf-8", "replace")
    except OSError as error:
        if getattr(error, "code", None) in (403, 404):
            return f"no ready-made mmcv for {here}: {index} has no folder for it; compile it"
        why = getattr(error, "reason", error)
        return f"whether there is a ready-made mmcv for {here} cannot be looked up now ({why}); it would be at {place}"
    versions = {match[1] for match in re.finditer(rf"onedl_mmcv-([\w.]+)-{python}-{python}-[\w.]*{_platform()}[\w.]*\.whl", page)}
    if not versions:
        return f"no ready-made mmcv for {here} at {place}; compile it"
    newest = max(versions, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])
    command = f"pip install --only-binary=:all: --no-deps onedl-mmcv=={newest} -f {place}"
    return f"ready-made for {here}: pip uninstall -y mmcv-lite onedl-mmcv; {command}"


def _platform() -> str:
    import platform

    system = {"linux": "linux", "win32": "win", "darwin": "macosx"}.get(sys.platform, sys.platform)
    return rf"{system}[\w.]*{'arm64' if sys.platform == 'darwin' and platform.machine() == 'arm64' else platform.machine().lower()}"


def _types(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("type"), str):
            yield node["type"].rpartition(".")[2]
        for value in node.values():
            yield from _types(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _types(value)
