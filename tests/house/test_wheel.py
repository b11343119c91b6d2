"""The wheel works without a checkout: its configs are found by name in an empty folder."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("mmstreet", "configs", "setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The package as a wheel installs it."""
    source, site = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, source / part, **({"ignore": shutil.ignore_patterns("__pycache__")} if copy is shutil.copytree else {}))
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(source / "out"), "."]
    subprocess.run(build, cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "out").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    return site


def run(site, folder, *command):
    env = dict(os.environ, PYTHONPATH=str(site))
    return subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True)


def test_every_config_and_the_marker_of_types_are_in_the_wheel(site):
    shipped = site / "mmstreet" / ".mim" / "configs"
    expected = {path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.py")}
    assert {path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file()} == expected
    assert (site / "mmstreet" / "py.typed").is_file()
    assert {path.name for path in site.iterdir() if not path.name.endswith(".dist-info")} == {"mmstreet"}


def test_a_config_resolves_by_name_in_an_empty_folder(site, tmp_path):
    where = run(site, tmp_path, "-m", "mmstreet", "config", "deeplabv3_bdd_v3", "--path")
    assert where.stdout.strip() == str(site / "mmstreet" / ".mim" / "configs" / "deeplabv3_bdd_v3.py"), where.stderr
    options = ("--cfg-options", "model.decode_head.loss_decode.gamma=9.5")
    changed = run(site, tmp_path, "-m", "mmstreet", "config", "deeplabv3_bdd_v3", "--diff", "configs/deeplabv3_bdd_v3.py", *options)
    assert changed.stdout.splitlines()[1:] == ["model.decode_head.loss_decode.gamma", "  - 3.0", "  + 9.5"], changed.stderr
    assert not any(tmp_path.iterdir())


def test_a_refiner_resolves_by_name_in_an_empty_folder(site, tmp_path):
    code = "from mmstreet.refine.configured import read_refiner; print(read_refiner('sam2').weights)"
    assert run(site, tmp_path, "-c", code).stdout.strip() == "facebook/sam2.1-hiera-small"


def test_train_begins_by_name_and_ends_at_the_missing_data(site, tmp_path):
    done = run(site, tmp_path, "-m", "mmstreet", "train", "deeplabv3_mini_v1")
    assert done.returncode != 0
    assert "data/mini" in done.stderr
    assert (tmp_path / "work_dirs" / "deeplabv3_mini_v1").is_dir()
