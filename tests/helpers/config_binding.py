"""What a config says, held against the classes that it names: unknown types, unknown settings, keys that nobody reads."""

import ast
import functools
import inspect
from collections.abc import Iterator
from pathlib import Path

from mmengine.registry import Registry
from mmengine.runner import Runner
from torch.utils.data import DataLoader

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
LOADER_EXTRAS = {"dataset", "sampler", "collate_fn", "batch_sampler", "worker_init_fn"}
PIPELINES = {"train_pipeline", "val_pipeline", "test_pipeline"}  # read by MMSegmentation's own inference


@functools.cache
def find_type(name: str, registries: tuple[Registry, ...]) -> type | None:
    """Look a type up in every registry of its framework."""
    found = (registry.get(name) for registry in registries)
    return next((kind for kind in found if kind is not None), None)


def settings_of(kind: type) -> set[str] | None:
    """Names that a constructor takes, through ``**kwargs`` up to the base classes; None when the last one takes anything."""
    names: set[str] = set()
    for base in inspect.getmro(kind) if inspect.isclass(kind) else (kind,):
        if inspect.isclass(base) and "__init__" not in vars(base):
            continue
        parameters = inspect.signature(base.__init__ if inspect.isclass(base) else base).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            return names
    return None


def walk(node: object, path: str = "") -> Iterator[tuple[str, dict]]:
    """Yield every dict with a ``type``, with its dotted place."""
    if isinstance(node, dict):
        if "type" in node:
            yield path, node
        for key, value in node.items():
            yield from walk(value, f"{path}.{key}" if path else key)
    elif isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from walk(value, f"{path}[{i}]")


def config_errors(cfg: dict, registries: tuple[Registry, ...]) -> list[str]:
    """Collect everything in a config that no class and no runner would read; names that start with an underscore are helpers.

    Args:
        cfg: The whole config.
        registries: Where types are looked up.
    """
    known = set(inspect.signature(Runner.__init__).parameters) | {
        "model",
        "runner_type",
        "sync_bn",
        "find_unused_parameters",
        "refiner",
        *PIPELINES,
    }
    errors = [f"{key}: no runner reads this key" for key in cfg if key not in known and not key.startswith("_")]
    cfg = {key: value for key, value in cfg.items() if not key.startswith("_")}
    for loader in LOADERS:
        allowed = set(inspect.signature(DataLoader).parameters) | LOADER_EXTRAS
        errors += [f"{loader}.{key}: no such setting of a data loader" for key in cfg.get(loader) or {} if key not in allowed]
    for path, node in walk(cfg):
        kind = find_type(node["type"], registries)
        if kind is None:
            errors.append(f"{path}: there is no type '{node['type']}'")
            continue
        names = settings_of(kind)
        extras = {"type", "_scope_"} | ({"loss_name"} if names is None else set())
        if path == "optim_wrapper":
            extras |= {"optimizer", "paramwise_cfg", "constructor"}
        if "PolyLR" in str(node["type"]):
            extras |= {"convert_to_iter_based"}
        errors += [f"{path}: {kind.__name__} has no setting '{key}'" for key in node if names is not None and key not in names | extras]
    return errors


def bases_of(path: Path) -> list[Path]:
    """Files that a config inherits from, as written in it."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_base_":
            names = ast.literal_eval(node.value)
            return [
                Path(name) if "::" in name else (path.parent / name).resolve() for name in ([names] if isinstance(names, str) else names)
            ]
    return []


def restated(path: Path, inherited: dict) -> list[str]:
    """Find literals in a config that repeat what it inherits at the same place."""
    found: list[str] = []

    def compare(node: ast.expr, value: object, place: str) -> None:
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "dict" and isinstance(value, dict):
            if any(keyword.arg == "_delete_" for keyword in node.keywords):
                return
            for keyword in node.keywords:
                if keyword.arg in value:
                    compare(keyword.value, value[keyword.arg], f"{place}.{keyword.arg}")
            return
        try:
            literal = ast.literal_eval(node)
        except ValueError:
            return
        if literal == value:
            found.append(f"{path.name}: {place} = {literal!r}")

    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) in inherited:
            compare(node.value, inherited[node.targets[0].id], node.targets[0].id)
    return found
