"""What do class weights, focal and Dice loss, an auxiliary head, two learning rates and clipping add to plain cross entropy?

The improvements of the street-view study over its baseline, with its numbers. Against v1: the loss of both heads, and the optimiser.
"""

_base_ = [
    "./_base_/models/deeplabv3_r50.py",
    "./_base_/data/bdd100k.py",
    "./_base_/recipes/streetview.py",
    "./_base_/runtime/default.py",
]

_variant_of = "deeplabv3_bdd_v1"

model = dict(
    decode_head=dict(loss_decode=dict(_base_._v2_loss, _delete_=True)),
    auxiliary_head=dict(_base_._auxiliary_head, loss_decode=_base_._v2_auxiliary_loss),
)
optim_wrapper = _base_._v2_optim_wrapper
