"""Packaging files agree with each other: extras with constraints, Dockerfile, workflows and site with what is there."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from mmstreet import __version__

ROOT = Path(__file__).parents[2]


def constraints(name):
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints" / name).read_text().splitlines()]
    return [Requirement(line) for line in lines if line]


@pytest.fixture(scope="module")
def extras():
    """What setup.py gives to setuptools."""
    scope = {"__file__": str(ROOT / "setup.py")}
    tree = ast.parse((ROOT / "setup.py").read_text())
    call = tree.body.pop().value
    exec(compile(tree, "setup.py", "exec"), scope)
    keyword = next(word.value for word in call.keywords if word.arg == "extras_require")
    return eval(compile(ast.Expression(keyword), "setup.py", "eval"), scope)


@pytest.mark.parametrize(("family", "other"), [("onedl", "openmmlab"), ("openmmlab", "onedl")])
def test_the_constraints_of_a_family_satisfy_every_extra_but_the_other_familys(family, other, extras):
    pinned = {
        (c.name, str(c.marker)): str(c.specifier).removeprefix("==") for c in constraints(f"{family}.txt") if "==" in str(c.specifier)
    }
    skipped = {other, *(() if family == "onedl" else ("light", "all"))}
    wrong = [
        f"[{extra}] {text} against {version}"
        for extra, texts in extras.items()
        if extra not in skipped
        for text in texts
        for (name, _), version in pinned.items()
        if (wanted := Requirement(text)).name == name and not wanted.specifier.contains(version)
    ]
    assert not wrong


def test_what_pip_installs_alone_has_one_family_and_no_mmcv_that_brings_another(extras):
    names = {Requirement(text).name for text in extras["all"]}
    assert names >= {"torch", "onedl-mmcv", "onedl-mmengine", "onedl-mmsegmentation"}
    assert not names & {"mmcv", "mmcv-lite", "mmengine", "mmsegmentation", "mmdet", "opencv-python-headless"}


def test_the_dockerfile_names_what_is_there():
    text = (ROOT / "Dockerfile").read_text()
    assert set(re.findall(r"^FROM \S+ AS (\w+)", text, re.MULTILINE)) == {"compiled", "cuda", "cpu"}
    assert set(re.findall(r"--from=(\w+)", text)) == {"compiled"}
    named = re.findall(r"(?:constraints|tools)/[\w.]+\w", text)
    assert {"constraints/onedl.txt", "tools/setup_env.sh"} <= set(named)
    assert [name for name in named if not (ROOT / name).is_file()] == []
    images = re.findall(r"nvidia/cuda:(\d+\.\d+\.\d+)-\w+-(\w+\.\d+)", text)
    assert len(images) == 2
    assert len(set(images)) == 1  # compiled against what it runs with


def test_workflows_run_targets_of_make_that_exist():
    targets = set(re.findall(r"^([a-z][a-z-]*)(?= |:)[^=\n]*:", (ROOT / "Makefile").read_text(), re.MULTILINE))
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    steps = [step for file in files for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]]
    runs = [step["run"] for step in steps if "run" in step]
    assert "make test" in (ROOT / ".ci/run").read_text()
    assert ".ci/run" in runs
    assert {run.split()[1] for run in runs if run.startswith("make ")} <= targets


def test_the_citation_has_the_version_of_the_package():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


def test_the_site_builds_strictly_and_every_page_is_in_it(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(tmp_path / "site")]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "docs").glob("*.md"):
        built = tmp_path / "site" / ("index.html" if page.stem == "index" else f"{page.stem}/index.html")
        assert "<h1" in built.read_text(encoding="utf-8")
