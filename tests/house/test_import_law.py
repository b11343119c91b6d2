"""The house keeps its import law, read from the source with ``ast``: each rule is one test that lists all offenders."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mmstreet"

GROUND = {"files"}
SHARED = {"files", "labels", "label_table", "deps", "registry", "readback"}
STAGES = {"datasets", "transforms", "models", "losses", "metrics", "refine", "safety"}
MAY_IMPORT = {
    **{stage: SHARED for stage in STAGES},
    "files": set(),
    "deps": set(),
    "readback": set(),
    "label_table": {"files"},
    "labels": {"files", "label_table"},
    "registry": {"deps"},
    "formats": {"files", "labels", "label_table", "deps"},
    "datasets": SHARED | {"formats"},
    "metrics": SHARED | {"formats"},
    "engine": SHARED | STAGES,
    "predict": SHARED | STAGES | {"engine", "formats"},
    "evaluation": SHARED | STAGES | {"engine", "predict", "formats"},
    "report": {"files"},
    "mini": {"files", "formats", "labels"},
    "cli": SHARED | STAGES | {"engine", "predict", "evaluation", "report", "formats", "mini"},
    "__main__": {"deps", "cli"},
    "__init__": {"predict"},
}
"""Which rooms each room may import; a module of the package's top level is a room of its own. Nothing imports ``mini`` but the commands."""

LATE_ONLY = {"transformers", "pycocotools", "pydensecrf", "faster_coco_eval", "onnx", "onnxruntime", "skimage", "kornia_rs"}
LATE_ONLY |= {"pyarrow", "fiftyone", "supervision"}
MMSEG_ROOMS = ("datasets/sem_seg.py", "datasets/packing.py", "models/", "engine/", "predict/", "evaluation/")
MMDET_ROOMS = ("datasets/ins_seg.py", "models/", "metrics/instance.py", "engine/", "predict/", "evaluation/")
NO_TORCH = ("files/", "formats/", "report/", "labels.py", "label_table.py", "deps.py", "mini/")
PURE = {"torch", "numpy", "mmstreet"} | set(sys.stdlib_module_names)
VAGUE = {"utils", "misc", "common", "helpers"}
MAX_LINES = 300


@functools.cache
def sources() -> dict[str, ast.Module]:
    """Every module of the package, by its path inside it."""
    return {path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


@functools.cache
def imports_of(name: str, *, top_level_only: bool = False) -> frozenset[str]:
    """Dotted names that a module imports; ``from a import b`` gives ``a.b`` where that is a module of this package."""
    tree = sources()[name]
    inside = {id(x) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for x in ast.walk(f)}
    names = set()
    for node in ast.walk(tree):
        if top_level_only and id(node) in inside:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            below = {f"{node.module}.{alias.name}" for alias in node.names if is_module(f"{node.module}.{alias.name}")}
            names |= below or {node.module or "."}
    return frozenset(names)


def is_module(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    return dotted.startswith("mmstreet") and (path.with_suffix(".py").exists() or (path / "__init__.py").exists())


def room_of(name: str) -> str:
    return name.removesuffix(".py").split("/")[0]


def rooms_imported(name: str) -> set[str]:
    return {dotted.split(".")[1] for dotted in imports_of(name) if dotted.startswith("mmstreet.")}


def packages_of(name: str, *, top_level_only: bool = False) -> set[str]:
    return {dotted.split(".")[0] for dotted in imports_of(name, top_level_only=top_level_only)}


def test_every_room_imports_only_rooms_below_it():
    unknown = {room_of(name) for name in sources()} - MAY_IMPORT.keys()
    assert not unknown, f"rooms without a rule: {sorted(unknown)}"
    offenders = {
        name: sorted(foreign) for name in sources() if (foreign := rooms_imported(name) - MAY_IMPORT[room_of(name)] - {room_of(name)})
    }
    assert not offenders, f"imports against the law: {offenders}"


def test_no_two_rooms_import_each_other():
    arrows = {(room_of(name), room) for name in sources() for room in rooms_imported(name)}
    assert not sorted((a, b) for a, b in arrows if a < b and (b, a) in arrows)


def test_imports_are_written_in_full():
    assert not [name for name in sources() if "." in imports_of(name)]


def test_functional_modules_need_nothing_but_torch_and_numpy():
    offenders = {
        name: sorted(packages_of(name) - PURE) for name in sources() if name.endswith("functional.py") and packages_of(name) - PURE
    }
    assert not offenders


def test_frameworks_stay_in_their_rooms():
    assert not [name for name in sources() if "mmseg" in packages_of(name) and not name.startswith(MMSEG_ROOMS)]
    assert not [name for name in sources() if "mmdet" in packages_of(name) and not name.startswith(MMDET_ROOMS)]
    assert not [name for name in sources() if "torchvision" in packages_of(name)]


def test_optional_packages_are_imported_where_they_are_used():
    offenders = {name: sorted(early) for name in sources() if (early := packages_of(name, top_level_only=True) & LATE_ONLY)}
    assert not offenders


def test_rooms_below_the_network_know_no_torch():
    assert not [name for name in sources() if name.startswith(NO_TORCH) and "torch" in packages_of(name)]


def test_only_the_report_draws_with_matplotlib():
    assert not [name for name in sources() if "matplotlib" in packages_of(name) and not name.startswith("report/")]


def test_importing_the_package_loads_no_framework():
    code = "import sys, mmstreet, mmstreet.labels; print(sorted({'torch', 'mmengine', 'mmcv', 'mmseg', 'mmdet'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_gives_what_users_look_for_when_they_ask_for_it():
    code = "import sys, mmstreet; before = 'numpy' in sys.modules; print(mmstreet.Predictor.__module__, before, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["mmstreet.predict.predictor", "False", "False"]


def test_modules_stay_readable():
    lengths = {name: len((PACKAGE / name).read_text().splitlines()) for name in sources()}
    assert not {name: lines for name, lines in lengths.items() if lines > MAX_LINES}, (
        f"split modules of more than {MAX_LINES} lines by idea"
    )


def test_modules_say_what_they_are_for():
    assert not [name for name, tree in sources().items() if tree.body and not ast.get_docstring(tree)]
    assert not [name for name in sources() if Path(name).stem in VAGUE]


def test_tools_hold_no_work():
    tools = {path.name: path.read_text() for path in (ROOT / "tools").glob("*.py")}
    assert not [name for name, text in tools.items() if len(text.splitlines()) > 20 or "sys.path" in text or "chdir" in text]
