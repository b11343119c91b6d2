"""Prediction: ``from mmstreet.predict import Predictor``. Exported models need numpy, OpenCV and onnxruntime only."""

from mmstreet.files.instances import Instances
from mmstreet.predict.predictor import Predictor
from mmstreet.predict.result import Result

__all__ = ["Instances", "Predictor", "Result"]
