"""Is an encoder alone enough: what does EoMT, a ViT-L with queries, bring on BDD100K in the setting of the official model zoo?

From weights for ADE20K. Its position embeddings fit 512×512 only: it trains on crops of that size and looks through six windows at test.
"""

_base_ = [
    "./_base_/models/transformers.py",
    "./_base_/data/bdd100k_zoo.py",
    "./_base_/schedules/zoo.py",
    "./_base_/runtime/iterations.py",
]

_variant_of = "mask2former_bdd"

_side_hw = (512, 512)
model = dict(
    model="tue-mps/ade20k_semantic_eomt_large_512",
    data_preprocessor=dict(size=_side_hw),
    test_cfg=dict(mode="slide", crop_size=_side_hw, stride=(208, 384)),  # two rows and three columns of windows on 1280×720
)
_square = dict(_base_._crop, crop_size=_side_hw)
train_pipeline = [_base_._load_image, _base_._load_labels, _base_._scale, _square, _base_._flip, _base_._colors, _base_._pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
_layers = {"network.layers": dict(lr_mult=0.1), "network.embeddings": dict(lr_mult=0.1)}
optim_wrapper = dict(
    _base_._adamw,
    optimizer=dict(_base_._adamw["optimizer"], lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(_base_._adamw["paramwise_cfg"], custom_keys=_layers),
    clip_grad=dict(max_norm=0.01),
)
param_scheduler = _base_._adamw_schedule
