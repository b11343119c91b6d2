"""The wheel works without a checkout: installed into a new environment, every command runs in an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import mmstreet
from tests.helpers.warm_python import WarmPython

ROOT = Path(__file__).parents[2]
SERIAL = [f"{name}_dataloader.{key}" for name in ("train", "val") for key in ("num_workers=0", "persistent_workers=False")]
PARTS = ("mmstreet", "configs", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")


def environment():
    """Without the checkout, which PYTHONPATH may name."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory):
    """The programs of a new environment, in which the wheel is installed and else nothing; what it needs is found in this environment."""
    source, folder = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("new") / "venv"
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part, **({"ignore": shutil.ignore_patterns("__pycache__")} if copy is shutil.copytree else {}))
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(source / "out"), "."]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "out").glob("*.whl")
    venv.create(folder, symlinks=True)
    install = [sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, cwd=source, env=environment(), check=True, capture_output=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    # A line of a .pth file adds a folder, but not what that folder's own .pth files add, such as the checkout.
    (packages / "rest.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return folder / "bin"


@pytest.fixture
def package(bin_folder):
    """The installed package."""
    (package,) = bin_folder.parent.glob("lib/python*/site-packages/mmstreet")
    return package


@pytest.fixture(scope="module")
def installed_python(bin_folder):
    """The new environment's own Python."""
    python = WarmPython(executable=bin_folder / "python")
    yield python
    python.close()


@pytest.fixture
def run(bin_folder, installed_python, tmp_path):
    """Run an installed program, or Python, in a folder that was empty at first; it must succeed."""

    def call(program, *words):
        words = words if program == "python" else (bin_folder / program, *words)
        done = installed_python.run(*words, cwd=tmp_path, env=environment())
        assert done.returncode == 0, done.stderr[-2000:]
        return done

    return call


def test_every_config_and_the_marker_of_types_are_installed(package):
    shipped = package / ".mim" / "configs"
    expected = {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.py")}
    assert {path.relative_to(shipped) for path in shipped.rglob("*.py")} == expected
    assert (package / "py.typed").is_file()
    assert (package / "shipped/street.onnx").is_file()
    assert {path.name.partition("-")[0] for path in package.parent.iterdir()} == {"mmstreet", "rest.pth"}


def test_the_installed_program_says_its_version(bin_folder, tmp_path):
    said = subprocess.run([bin_folder / "mmstreet", "--version"], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert (said.stdout, said.stderr) == (f"mmstreet {mmstreet.__version__}\n", "")


def test_train_test_and_predict_run_by_name_in_an_empty_folder(run, tmp_path, package):
    run("mmstreet", "mini", "data/mini", "--train", 4, "--val", 2, "--size", "128x72")
    short = ("--epochs", 1, "--batch-size", 2, "--cfg-options", *SERIAL)
    trained = run("mmstreet", "train", "deeplabv3_mini_v1", *short)
    assert trained.stdout.splitlines()[-1] == "page of the run: work_dirs/deeplabv3_mini_v1/report.html"
    tested = run("mmstreet", "test", "deeplabv3_mini_v1", "work_dirs/deeplabv3_mini_v1")
    assert "results on 2 images" in tested.stdout
    photo = next((tmp_path / "data/mini/images/10k/val").glob("*.jpg"))
    run(
        "mmstreet",
        "predict",
        photo,
        "-c",
        "work_dirs/deeplabv3_mini_v1/deeplabv3_mini_v1.py",
        "-k",
        "work_dirs/deeplabv3_mini_v1",
        "--out",
        "seen",
    )
    shipped = run("mmstreet", "predict", photo, "--out", "shipped")
    assert shipped.stdout.startswith("model: street")
    assert shipped.stderr == ""  # no bar where there is no terminal
    for folder in ("seen", "shipped"):
        assert len(list((tmp_path / folder / "labels").glob("*.png"))) == 1
    where = run("python", "-c", "import mmstreet; print(mmstreet.__file__)").stdout.strip()
    assert Path(where) == package / "__init__.py"
    assert {path.name for path in tmp_path.iterdir()} == {"data", "work_dirs", "seen", "shipped"}


def test_a_config_resolves_by_name_and_changes_are_shown(run, tmp_path, package):
    where = run("mmstreet", "config", "deeplabv3_bdd_v3", "--path")
    assert where.stdout.strip() == str(package / ".mim" / "configs" / "deeplabv3_bdd_v3.py")
    options = ("--cfg-options", "model.decode_head.loss_decode.gamma=9.5")
    changed = run("mmstreet", "config", "deeplabv3_bdd_v3", "--diff", "configs/deeplabv3_bdd_v3.py", *options)
    assert changed.stdout.splitlines()[1:] == ["model.decode_head.loss_decode.gamma", "  - 3.0", "  + 9.5"]
    assert not any(tmp_path.iterdir())


def test_a_refiner_resolves_by_name(run):
    code = "from mmstreet.refine.configured import read_refiner; print(read_refiner('sam2').weights)"
    assert run("python", "-c", code).stdout.strip() == "facebook/sam2.1-hiera-small"
