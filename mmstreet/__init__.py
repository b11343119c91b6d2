"""mmstreet: street-scene segmentation as a plug-in for OpenMMLab.

Importing this package loads neither torch nor any OpenMMLab framework. A config that says ``type='mmstreet.X'`` makes mmengine import
:mod:`mmstreet.registry`, which knows where every X lives.
"""

__version__ = "0.1.0"

_LAZY = {"Predictor": "predict", "Result": "predict", "TransformersSegmentor": "models.transformers_segmentor"}


def __getattr__(name: str) -> object:
    """Import what most users look for here when they ask for it."""
    if name not in _LAZY:
        raise AttributeError(f"module 'mmstreet' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(f"mmstreet.{_LAZY[name]}"), name)
