"""``docs/first_steps.ipynb`` runs from an empty folder, cell by cell, as a notebook runs it."""

import ast
import json

import pytest
from PIL import Image

from tests.helpers.doc_blocks import DOCS

pytest.importorskip("mmseg")
NOTEBOOK = json.loads((DOCS / "first_steps.ipynb").read_text(encoding="utf-8"))


def run_cell(source, scope):
    """Run a cell; returns the value of its last expression, as a notebook shows it."""
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), scope)
    return eval(compile(last, "cell", "eval"), scope) if last else None


def test_the_notebook_runs_and_ends_with_a_picture_and_shares(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope = {}
    shown = [run_cell("".join(cell["source"]), scope) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    made, trained, result, (size_hw, shares) = shown
    assert (made, trained) == (0, 0)  # exit codes
    assert size_hw == (180, 320)
    assert sum(shares.values()) <= 100.5
    (tmp_path / "shown.png").write_bytes(result._repr_png_())
    assert Image.open(tmp_path / "shown.png").width >= 320
    assert (tmp_path / "work_dirs/deeplabv3_mini_v2/report.html").is_file()


def test_the_notebook_is_kept_without_outputs():
    assert [cell["outputs"] for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"] == [[], [], [], []]
