"""Do pseudo-masks of a tiny CLIP, made while training, teach a network real street photographs? The dual path on CamVid, on a CPU."""

_base_ = "./carb_camvid_small_single.py"

embeddings = dict(text_embeddings="checkpoints/tiny_clip/text_embeddings_camvid.npz", table="camvid11")
model = dict(
    decode_head=dict(embeddings, channels=64),
    teacher=dict(embeddings, _delete_=True, type="mmstreet.ClipTeacher", model="checkpoints/tiny_clip"),
    patch_hw=(176, 64),
)
train_pipeline = [step for step in _base_.train_pipeline if step["type"] != "mmstreet.LoadLabels"]
train_dataloader = dict(dataset=dict(masks_dir=None, pipeline=train_pipeline))
