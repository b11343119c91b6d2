"""The road safety of a prediction."""

from __future__ import annotations

from mmstreet.predict.result import Result
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from mmstreet.safety.score import Instances, SafetyScore


def score_result(analyzer: RoadSafetyAnalyzer, result: Result) -> SafetyScore:
    """Score a prediction: its label map, and its objects one by one where the model found some."""
    objects = result.instances
    if objects is None:
        return analyzer(result.labels)
    return analyzer(result.labels, Instances(objects.masks, [result.classes[i] for i in objects.class_ids]))
