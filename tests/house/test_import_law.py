"""The house keeps its import law: who may import whom, read from the source with ``ast``."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mmstreet"
STAGES = ("datasets", "transforms", "models", "losses", "metrics", "refine", "safety", "report")
SHARED = {"mmstreet", "mmstreet.deps", "mmstreet.registry", "mmstreet.labels"}
LATE_ONLY = {"transformers", "pycocotools", "pydensecrf", "faster_coco_eval", "onnx", "onnxruntime", "skimage", "kornia_rs"}
MMSEG_ROOMS = ("datasets/sem_seg.py", "datasets/weak.py", "models/", "engine/")
MMDET_ROOMS = ("datasets/ins_seg.py", "models/", "metrics/instance.py", "engine/")
PURE = {"torch", "numpy", "math", "__future__"} | set(sys.stdlib_module_names)
MODULES = sorted(PACKAGE.rglob("*.py"))
ROOMS = tuple(f"{stage}/" for stage in STAGES)


def imports_of(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Dotted names that a file imports; ``from a import b`` gives both ``a`` and, within this package, ``a.b`` if that is a module."""
    tree = ast.parse(path.read_text())
    inside = {id(x) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for x in ast.walk(f)}
    names = set()
    for node in ast.walk(tree):
        if top_level_only and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names if module_exists(f"{node.module}.{alias.name}")}
            names |= submodules or {node.module}
    return names


def module_exists(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return dotted.startswith("mmstreet") and (path.with_suffix(".py").exists() or (path / "__init__.py").exists())


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", [p for p in MODULES if relative(p).startswith(ROOMS)], ids=relative)
def test_a_stage_imports_no_neighbour(path):
    own = f"mmstreet.{relative(path).split('/')[0]}"
    foreign = {
        name for name in imports_of(path) if name.startswith("mmstreet") and name not in SHARED and not f"{name}.".startswith(f"{own}.")
    }
    assert not foreign, f"{relative(path)} imports {sorted(foreign)}; the config or the engine joins stages"


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "functional.py"], ids=relative)
def test_functional_modules_are_pure(path):
    foreign = {name for name in imports_of(path) if name.split(".")[0] not in PURE and not name.startswith("mmstreet.")}
    assert not foreign, f"{relative(path)} imports {sorted(foreign)}"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_frameworks_and_extras_stay_in_their_rooms(path):
    name = relative(path)
    roots = {dotted.split(".")[0] for dotted in imports_of(path)}
    early = {dotted.split(".")[0] for dotted in imports_of(path, top_level_only=True)}
    assert "mmseg" not in roots or name.startswith(MMSEG_ROOMS), f"{name} imports mmseg"
    assert "mmdet" not in roots or name.startswith(MMDET_ROOMS), f"{name} imports mmdet"
    assert "torchvision" not in roots, f"{name} imports torchvision"
    assert not early & LATE_ONLY, f"{name} imports {sorted(early & LATE_ONLY)} at top level; import it where it is used"


def test_report_knows_no_torch():
    for path in (PACKAGE / "report").glob("*.py"):
        assert "torch" not in {dotted.split(".")[0] for dotted in imports_of(path)}, path.name


def test_importing_the_package_loads_no_framework():
    code = "import sys, mmstreet, mmstreet.labels; print(sorted({'torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_stay_readable(path):
    lines = len(path.read_text().splitlines())
    assert lines <= 300, f"{relative(path)} has {lines} lines; split it by idea"
    assert path.stem not in {"utils", "misc", "common", "helpers"}, f"{relative(path)}: name it by what it is about"
    if lines:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{relative(path)} does not say what it is for"


@pytest.mark.parametrize("path", sorted((ROOT / "tools").glob("*.py")), ids=lambda p: p.name)
def test_tools_are_thin(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 80, f"{path.name}: move the work into the package"
    assert "sys.path" not in text
    assert "chdir" not in text
