"""The metrics of a config that is about to be tested, and what a command adds to them."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.config import Config
from mmengine.registry import METRICS

from mmstreet.engine.errors import LaunchError
from mmstreet.metrics.instance import BDD100KInsMetric
from mmstreet.metrics.semantic import StreetIoUMetric


def add_metric(cfg: Config, metric: dict) -> None:
    """Append a metric to the test evaluator of a config, one dict or a list of them, in place."""
    cfg.test_evaluator = [*_list_evaluators(cfg), metric]


def _list_evaluators(cfg: Config) -> list[dict]:
    evaluators = cfg.get("test_evaluator") or []
    return list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]


def first_semantic(cfg: Config) -> dict | None:
    """Return the settings of the first ``StreetIoUMetric`` of the test evaluator; ``None`` without one."""
    return next(iter(_list_of(StreetIoUMetric, _list_evaluators(cfg))), None)


def _list_of(kind: type, evaluators: Sequence[dict]) -> list[dict]:
    return [one for one in evaluators if isinstance(one["type"], str) and METRICS.get(one["type"]) is kind]


def set_slices(cfg: Config, by: Sequence[str], attributes: str | None) -> None:
    """Let every ``StreetIoUMetric`` and ``BDD100KInsMetric`` of the test evaluator break its scores down, in place.

    Args:
        cfg: A config with ``test_evaluator``: one dict or a list of them.
        by: See :class:`~mmstreet.metrics.semantic.StreetIoUMetric`.
        attributes: File of the images' attributes; ``None`` keeps the config's.

    Raises:
        LaunchError: If the evaluator has no such metric, or attributes are given for instances, which bring their own.
    """
    evaluators = _list_evaluators(cfg)
    semantic, instances = (_list_of(kind, evaluators) for kind in (StreetIoUMetric, BDD100KInsMetric))
    if not semantic and not instances:
        raise LaunchError("--by breaks down StreetIoUMetric and BDD100KInsMetric, and the config's test_evaluator has neither")
    if attributes and not semantic:
        raise LaunchError("--attributes is for semantic data sets; of instances the data set itself gives weather, scene and timeofday")
    for one in semantic:
        one |= {"by": list(by)} | ({"attributes": attributes} if attributes else {})
    for one in instances:
        one |= {"by": list(by)}
    cfg.test_evaluator = evaluators
