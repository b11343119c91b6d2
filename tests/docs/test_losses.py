"""``docs/losses.md``: the blocks that name a file are what stands in it, docstrings aside, and the configs build."""

import ast
import re

import pytest
import torch

from mmstreet.registry import MODELS
from tests.helpers.doc_blocks import DOCS
from tests.helpers.loss_contract import random_case

TEXT = (DOCS / "losses.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python ?([\w./]*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def definitions(source: str) -> dict[str, str]:
    """Every function and class of a module, by name, as a tree without docstrings."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return {node.name: ast.dump(node) for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, text in BLOCKS if "/" in name])
def test_printed_code_is_the_packages(name, text):
    printed, shipped = definitions(text), definitions((DOCS.parent / name).read_text(encoding="utf-8"))
    assert printed
    assert {key: shipped[key] for key in printed} == printed


def test_the_walk_goes_from_the_formula_to_the_config():
    assert [name for name, _ in BLOCKS] == [
        "",
        "mmstreet/losses/functional.py",
        "mmstreet/losses/modules.py",
        "tests/losses/test_functional.py",
        "tests/losses/test_functional.py",
        "config.py",
    ]


@pytest.mark.parametrize("text", [BLOCKS[0][1], BLOCKS[-1][1]])
def test_printed_configs_train(text):
    settings = {}
    exec(text, settings)  # the page's own words
    losses = settings["loss_decode"] if isinstance(settings["loss_decode"], list) else [settings["loss_decode"]]
    logits, labels = random_case(6)
    value = sum(MODELS.build(dict(loss))(logits.requires_grad_(), labels) for loss in losses)
    (grad,) = torch.autograd.grad(value, logits)
    assert value > 0
    assert grad.abs().sum() > 0


def test_printed_weights_are_those_of_the_recipe():
    from mmstreet.losses.class_weights import PRESETS, resolve_class_weight

    recipe = dict(table="street6", clip=(0.1, 10.0), boosts=dict(bicycle=3.0, motorcycle=3.0, pole=2.0))
    rows = dict(re.findall(r"^\| (boost first|clip first|printed)[^|]*\| (.*) \|$", TEXT, re.MULTILINE))
    numbers = {name: [float(cell) for cell in row.split("|")] for name, row in rows.items()}
    assert numbers["boost first"] == pytest.approx(resolve_class_weight(dict(recipe, boost_first=True)), abs=5e-4)
    assert numbers["clip first"] == pytest.approx(resolve_class_weight(recipe), abs=5e-4)
    assert numbers["printed"] == list(PRESETS["street6_published"])
