"""mmstreet: street-scene segmentation as a plug-in for OpenMMLab.

Importing this package loads neither torch nor any OpenMMLab framework. A config that says ``type='mmstreet.X'`` makes mmengine import
:mod:`mmstreet.registry`, which knows where every X lives.
"""

__version__ = "0.1.0"
