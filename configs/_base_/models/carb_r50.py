"""CARB's network: ResNet-50-C at output stride 8, a summed atrous pyramid, text embeddings as classifier, CLIP as teacher."""

_base_ = "./resnet50.py"

model = dict(
    type="mmstreet.CARBSegmentor",
    backbone=dict(
        type="ResNetV1c",
        norm_cfg=dict(type="SyncBN"),
        init_cfg=dict(type="Pretrained", checkpoint="open-mmlab://resnet50_v1c"),
    ),
    decode_head=dict(
        type="mmstreet.CARBHead",
        in_channels=2048,
        channels=512,
        num_classes=19,
        dilations=(6, 12, 18, 24),
        text_embeddings="checkpoints/clip_vit_b16_cityscapes19.npz",
        table="cityscapes19",
        norm_cfg=dict(type="SyncBN"),
        loss_decode=dict(type="mmstreet.CARBLoss", warmup_iters=16000),
    ),
    teacher=dict(
        type="mmstreet.ClipTeacher",
        model="openai/clip-vit-base-patch16",
        text_embeddings="checkpoints/clip_vit_b16_cityscapes19.npz",
        table="cityscapes19",
    ),
    patch_hw=(512, 256),
    patch_scale=(1.0, 2.0),
)
