"""Does a class for the rest of the scene stop the six-class model from painting its classes over roads and houses?

A model that never sees background has to call every pixel one of the six. Here the other thirteen classes become a seventh; scores are of
the six, as in v3.
"""

_base_ = "./deeplabv3_bdd_v3.py"

num_classes = 7
loss = dict(class_weight=dict(table="street6_background"))
model = dict(
    decode_head=dict(num_classes=num_classes, loss_decode=loss),
    auxiliary_head=dict(num_classes=num_classes, loss_decode=loss),
)

train_pipeline = [_base_.whole_scene if step == _base_.remap else step for step in _base_.train_pipeline]
train_dataloader = dict(dataset=dict(table="street6_background", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(table="street6_background", pipeline=_base_.test_pipeline))
val_evaluator = dict(table="street6")
