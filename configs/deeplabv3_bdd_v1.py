"""How far does a DeepLabV3 with COCO weights get on 19 street classes with nothing but cross entropy?

The baseline of the street-view study (Man, Leobandung, Jiang, Pan: Streetview Semantics, 2025): 512×256, batch 8. The study names neither
optimiser nor augmentation nor epochs of this version; AdamW, horizontal flips and the ten epochs of its other versions are ours.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]
