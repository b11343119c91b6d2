"""What ``--by`` does to the metrics of a config."""

import pytest
from mmengine.config import Config

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.semantic_metrics import set_slices


def test_semantic_and_instance_metrics_are_broken_down_and_others_are_left_alone():
    kinds = ("mmstreet.StreetIoUMetric", "mmstreet.BDD100KInsMetric", "mmseg.IoUMetric")
    cfg = Config({"test_evaluator": [dict(type=kind) for kind in kinds]})
    set_slices(cfg, ["weather"], "a.csv")
    assert cfg.test_evaluator == [
        dict(type=kinds[0], by=["weather"], attributes="a.csv"),
        dict(type=kinds[1], by=["weather"]),
        dict(type=kinds[2]),
    ]


def test_without_such_a_metric_it_is_refused():
    with pytest.raises(LaunchError, match="test_evaluator has neither"):
        set_slices(Config({"test_evaluator": dict(type="mmseg.IoUMetric")}), ["weather"], None)
    with pytest.raises(LaunchError, match="of instances the data set itself gives weather"):
        set_slices(Config({"test_evaluator": dict(type="mmstreet.BDD100KInsMetric")}), ["weather"], "a.csv")
