"""Configs are read without being run, and compared setting by setting."""

import pytest

from mmstreet.files.config_text import Change, compare_configs, parse_config

TEXT = """
model = dict(
    backbone=dict(depth=50, strides=(1, 2)),
    loss=dict(type='CrossEntropyLoss'))
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=[dict(type='LoadImage'), dict(scale=(512, 256), type='Resize')]))
load_from = None
helper = 3
"""


def test_literals_and_dict_calls_are_read_and_nothing_is_run(tmp_path):
    mark = tmp_path / "ran"
    config = parse_config(TEXT + f"evil = open({str(mark)!r}, 'w')\n")
    assert config["model"] == {"backbone": {"depth": 50, "strides": [1, 2]}, "loss": {"type": "CrossEntropyLoss"}}
    assert config["load_from"] is None
    assert config["evil"].startswith("open(")
    assert not mark.exists()
    with pytest.raises(SyntaxError):
        parse_config("model = dict(")


def test_only_what_differs_and_decides_a_run_is_listed():
    other = TEXT.replace("depth=50", "depth=18").replace("helper = 3", "helper = 4").replace("(512, 256)", "(1024, 512)")
    assert compare_configs(parse_config(TEXT), parse_config(other)) == [
        Change("model.backbone.depth", "50", "18"),
        Change("train_dataloader.dataset.pipeline", "Resize(scale=[512, 256])", "Resize(scale=[1024, 512])"),
    ]
    assert compare_configs(parse_config(TEXT), parse_config(TEXT)) == []


def test_a_branch_that_came_or_went_is_one_change():
    one, two = parse_config(TEXT), parse_config(TEXT)
    two["model"]["auxiliary_head"] = {"in_index": 2, "loss": {"type": "Focal"}}
    (came,) = compare_configs(one, two)
    assert came == Change("model.auxiliary_head", None, "in_index = 2\nloss.type = 'Focal'")
    (went,) = compare_configs(two, one)
    assert went == Change("model.auxiliary_head", "in_index = 2\nloss.type = 'Focal'", None)
