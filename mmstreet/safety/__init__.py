"""Road safety: ``from mmstreet.safety import RoadSafetyAnalyzer``; numpy is all it needs."""

from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from mmstreet.safety.score import SafetyScore
from mmstreet.safety.settings import SafetySettings

__all__ = ["RoadSafetyAnalyzer", "SafetyScore", "SafetySettings"]
